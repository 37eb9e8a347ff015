package sqlite

import "time"

// Held returns how many idle readers hold a snapshot.
func (db *DB) Held() int {
	held := 0
	for range len(db.readers.free) {
		c := <-db.readers.free
		if !c.conn.AutocommitEnabled() {
			held++
		}
		db.readers.free <- c
	}
	return held
}

// ParseMapping is parseMapping.
func ParseMapping(line, file string) uint64 { return uint64(parseMapping(line, file)) }

// Scrubbed returns how much of a time is spent on scrubbing by steps that take step each.
func Scrubbed(step, in time.Duration) (spent time.Duration) {
	var s scrubber
	now := time.Now()
	for end := now.Add(in); now.Before(end); {
		s.save(now)
		now = now.Add(s.pause() + step)
		s.saved -= step
		spent += step
	}
	return spent
}

// Scrub sets the saved time of the scrubber, lets it begin, and returns its page and its
// saved time after at most so many pages. It must run in a write, where only pages without
// leftovers can be scrubbed.
func (db *DB) Scrub(saved time.Duration, pages int64) (at int64, left time.Duration) {
	s := &db.writer.scrubber
	s.saved, s.savedAt = saved, time.Now()
	s.begin()
	db.writer.scrub(pages)
	return s.at, s.saved
}

// Scrubbing returns the next page to scrub; 0: none. It must run in a write.
func (db *DB) Scrubbing() int64 { return db.writer.scrubber.at }
