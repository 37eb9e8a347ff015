package sqlite

import (
	"encoding/binary"
	"time"
)

const (
	// scrubStep is how many pages are looked at in one go while nothing else is to be done,
	// and scrubBeside how many after a commit.
	scrubStep, scrubBeside = 512, 32
	// scrubPause is the time between two steps, and scrubLimit how long a stop goes on with
	// them.
	scrubPause, scrubLimit = 2 * time.Millisecond, 500 * time.Millisecond
	// firstPage is the number of a file's first page, which begins with the file's header.
	firstPage, fileHeader = 1, 100
)

// A scrubber clears what secure_delete leaves: that clears what is deleted where it lies,
// but where cells have moved to another page, as when one is split, their bytes stay in
// the unallocated space between a page's pointers and its cells, and outlive the rows.
// (https://www.sqlite.org/fileformat2.html#b_tree_pages)
type scrubber struct {
	// at is the next page to be looked at, 0: none. If again, all are once more then, as
	// something was erased meanwhile.
	at    int64
	again bool
	// cleared says that something was, in this round.
	cleared bool
}

// begin has all pages looked at.
func (s *scrubber) begin() {
	if s.at == 0 {
		s.at = firstPage
	} else {
		s.again = s.at > firstPage
	}
}

// scrub looks at some pages, clears what is left in them, and reports whether it could.
// Otherwise they are to be looked at again.
func (w *writer) scrub(pages int64) bool {
	if w.scrubber.at == 0 {
		return true
	}
	var count int64
	err := w.conn.query("PRAGMA page_count", func(r Row) error { count = r.Int(0); return nil }, nil)
	if err != nil {
		return false
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
		w.conn.erases = true // the log has pages as they were
	}
	again := w.scrubber.again
	w.scrubber = scrubber{}
	if again {
		w.scrubber.begin()
	}
	return true
}

// clear clears the free space of pages, in a transaction.
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
			_ = w.rollback() // of which the next transaction hears
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

// clearFree clears the unallocated space of a page of a B-tree, and reports whether there
// was something in it. Of pages of other kinds the first byte is 0, up to 64 GiB.
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
	case 0x0a, 0x0d: // leaves of an index and of a table
	case 0x02, 0x05: // those above them, with a pointer more
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

// finish scrubs the rest, for a moment: where it isn't enough, or fails, the next start
// goes on.
func (w *writer) finish() {
	for end := time.Now().Add(scrubLimit); w.scrubber.at > 0 && time.Now().Before(end) && w.scrub(scrubStep); {
	}
	w.wipe()
}
