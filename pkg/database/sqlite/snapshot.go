package sqlite

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"
)

// A snapshot is the state of the database at some commit, as a reader sees it. Taking one
// needs two file locks, which is a sixth of the cost of a GET. So a reader keeps its
// snapshot after a read, and the next read reuses it if nobody has committed since
// (docs/decisions/held-snapshots.md).

// releaseEvery is how often idle readers release their snapshots, which block other
// processes' checkpoints.
const releaseEvery = time.Second

// commit identifies the last commit. It is the header of the wal-index, which a writer in
// any process changes last (sqlite.org/walformat.html, 2.1).
type commit [6]uint64

// walIndex is the address of SQLite's memory mapping of the wal-index, or 0.
type walIndex uintptr

// findWALIndex returns the address of the wal-index of a database that has been read. It
// returns 0 if the system doesn't tell; then no snapshots are kept. It must not open the
// file itself: closing it would release SQLite's locks on it (fcntl(2)).
func findWALIndex(path string) walIndex {
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return 0
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return 0 // not Linux
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		index := parseMapping(lines.Text(), path+"-shm")
		if index != 0 {
			return index
		}
	}
	return 0
}

// parseMapping parses a line of proc_pid_maps(5). It returns the address at which the
// mapping of the file's start begins, or 0 if the line is another mapping.
func parseMapping(line, file string) walIndex {
	fields := strings.SplitN(line, " ", 6)
	if len(fields) != 6 || strings.TrimLeft(fields[5], " ") != file || strings.Trim(fields[2], "0") != "" {
		return 0
	}
	from, _, _ := strings.Cut(fields[0], "-")
	address, err := strconv.ParseUint(from, 16, 64)
	if err != nil {
		return 0
	}
	return walIndex(address)
}

// last returns the last commit.
func (w walIndex) last() (c commit) {
	words := (*commit)(*(*unsafe.Pointer)(unsafe.Pointer(&w))) //nolint:gosec // SQLite keeps it mapped while a connection is open
	for i := range c {
		c[i] = atomic.LoadUint64(&words[i])
	}
	return c
}

// reader is a reading connection.
type reader struct {
	*Conn
	// held is the last commit in the snapshot, or an earlier one.
	held commit
}

// refresh makes c see everything committed before. While the writer works it keeps no new
// snapshot, which would block the writer's checkpoint.
func (r *readers) refresh(c *reader) error {
	if r.index == 0 {
		return nil
	}
	last := r.index.last()
	if last == c.held && !c.conn.AutocommitEnabled() {
		return nil
	}
	err := c.release()
	if err != nil || r.writing.Load() {
		return err
	}
	c.held = last // the first query takes the snapshot, of this commit or a later one
	return c.run("BEGIN")
}

// release ends the reader's transaction, if any.
func (c *reader) release() error {
	if c.conn.AutocommitEnabled() {
		return nil
	}
	return c.run("ROLLBACK")
}

// releaseIdle releases the snapshots of idle readers.
func (r *readers) releaseIdle() {
	for range len(r.free) {
		select {
		case c := <-r.free:
			_ = c.release() // practically never fails; the next read would report it
			r.free <- c
		default:
			return
		}
	}
}

func (r *readers) releaseLoop() {
	tick := time.NewTicker(releaseEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.releaseIdle()
		case <-r.closed:
			return
		}
	}
}
