package sqlite

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
