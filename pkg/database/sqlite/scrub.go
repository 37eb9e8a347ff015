package sqlite

import (
	"encoding/binary"
	"time"
)

const (
	// scrubStep is how many pages are scrubbed in one step while the writer is idle, and
	// scrubBeside how many after a commit.
	scrubStep, scrubBeside = 512, 32
	// scrubPause is the time between two steps, and scrubLimit how long Close continues
	// them.
	scrubPause, scrubLimit = 2 * time.Millisecond, 500 * time.Millisecond
	// scrubShare limits scrubbing to this part of the time, one in scrubShare, once the
	// saved time of scrubBurst is used: whoever deletes again and again keeps it busy. A
	// file of 300 MB takes about scrubBurst.
	scrubShare, scrubBurst = 10, time.Second
	// maxScrubbed is the number of pages from which on the first byte of a page number, with
	// which an overflow page begins, can be that of a B-tree page: 128 GiB.
	maxScrubbed = 1 << 25
	// firstPage is the number of the first page, which begins with a file header of
	// fileHeader bytes.
	firstPage, fileHeader = 1, 100
)

// A scrubber clears what secure_delete leaves behind. secure_delete overwrites deleted
// cells where they are. Cells that were moved to another page before, for example by a
// page split, leave a copy in the unallocated space of the old page, which would outlive
// the rows. (https://www.sqlite.org/fileformat2.html#b_tree_pages)
type scrubber struct {
	// at is the next page to scrub; 0: none. again: start over afterwards, because
	// something was erased meanwhile.
	at    int64
	again bool
	// cleared: this round has cleared something.
	cleared bool
	// saved is the time that scrubbing may use, as of savedAt.
	saved   time.Duration
	savedAt time.Time
}

// save adds the share of the time since savedAt.
func (s *scrubber) save(now time.Time) {
	s.saved = min(scrubBurst, s.saved+now.Sub(s.savedAt)/scrubShare)
	s.savedAt = now
}

// pause returns how long to wait before the next step.
func (s *scrubber) pause() time.Duration { return max(scrubPause, -s.saved*scrubShare) }

// begin schedules a scrub of all pages.
func (s *scrubber) begin() {
	if s.at == 0 {
		s.at = firstPage
	} else {
		s.again = s.at > firstPage
	}
}

// scrub scrubs some pages, and returns false if it failed; they are then scrubbed again.
func (w *writer) scrub(pages int64) bool {
	if w.scrubber.at == 0 {
		return true
	}
	began := time.Now()
	defer func() { w.scrubber.saved -= time.Since(began) }()
	var count int64
	err := w.conn.query("PRAGMA page_count", func(r Row) error { count = r.Int(0); return nil }, nil)
	if err != nil {
		return false
	}
	if count >= maxScrubbed {
		w.scrubber.at = 0
		return true
	}
	end := min(w.scrubber.at+pages, count+1)
	var dirty []int64
	for n := w.scrubber.at; n < end; n++ {
		page, err := w.conn.page(n)
		if err != nil {
			return false
		}
		if clearFree(page, n) {
			dirty = append(dirty, n)
		}
	}
	if len(dirty) > 0 && w.clear(dirty) != nil {
		return false
	}
	w.scrubber.at, w.scrubber.cleared = end, w.scrubber.cleared || len(dirty) > 0
	if end <= count {
		return true
	}
	if w.scrubber.cleared {
		w.conn.erases = true // the WAL has the old versions of the pages
	}
	again := w.scrubber.again
	w.scrubber.at, w.scrubber.again, w.scrubber.cleared = 0, false, false
	if again {
		w.scrubber.begin()
	}
	return true
}

// clear clears the free space of pages, in one transaction.
func (w *writer) clear(pages []int64) error {
	w.readers.writing.Store(true)
	defer w.readers.writing.Store(false)
	w.readers.releaseIdle()
	w.conn.conn.SetBusyTimeout(wipeTimeout)
	defer w.conn.conn.SetBusyTimeout(busyTimeout)
	err := w.conn.run("BEGIN IMMEDIATE")
	if err != nil {
		return err
	}
	for _, n := range pages {
		page, err := w.conn.page(n)
		if err == nil && clearFree(page, n) {
			err = w.conn.query("UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?", func(Row) error { return nil }, []any{page, n})
		}
		if err != nil {
			_ = w.rollback() // the next transaction fails if this does
			return err
		}
	}
	err = w.conn.run("COMMIT")
	if err != nil {
		_ = w.rollback() // likewise
	}
	return err
}

// page returns a page of the file.
func (c *Conn) page(n int64) (page []byte, err error) {
	err = c.query("SELECT data FROM sqlite_dbpage WHERE pgno = ?", func(r Row) error { page = r.Bytes(0); return nil }, []any{n})
	return page, err
}

// clearFree clears the unallocated space of a B-tree page, and reports whether it wasn't
// empty. Other pages begin with a page number, whose first byte is less than 2 below
// maxScrubbed.
func clearFree(page []byte, n int64) bool {
	header := 0
	if n == firstPage {
		header = fileHeader
	}
	if len(page) < header+12 {
		return false
	}
	size := 8
	switch page[header] {
	case 0x0a, 0x0d: // leaves of indexes and tables
	case 0x02, 0x05: // interior pages, whose header has one more pointer
		size = 12
	default:
		return false
	}
	from := header + size + 2*int(binary.BigEndian.Uint16(page[header+3:]))
	to := int(binary.BigEndian.Uint16(page[header+5:]))
	if to == 0 {
		to = 1 << 16
	}
	if to > len(page) {
		return false
	}
	found := false
	for i := from; i < to; i++ {
		found = found || page[i] != 0
		page[i] = 0
	}
	return found
}

// finish scrubs on for scrubLimit. The next start does the rest.
func (w *writer) finish() {
	for end := time.Now().Add(scrubLimit); w.scrubber.at > 0 && time.Now().Before(end) && w.scrub(scrubStep); {
	}
	w.wipe()
}
