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

// A snapshot is what a reader sees: the database as some commit left it. To take one costs
// two locks of the file system, which is a sixth of a GET. So a reader holds its snapshot
// when a read is over, and the next read uses it if nobody has committed since
// (docs/decisions/held-snapshots.md).

// releaseEvery is how often idle readers let their snapshots go: another process's
// checkpoint can't pass them.
const releaseEvery = time.Second

// commit identifies the last commit: it is the header of the wal-index, which the writer of
// whichever process changes last of all (sqlite.org/walformat.html, 2.1).
type commit [6]uint64

// walIndex is the address at which SQLite has the wal-index in memory, or 0.
type walIndex uintptr

// findWALIndex returns where SQLite has the wal-index of a database that was read. Where
// the system doesn't tell, no snapshot is held. The file isn't opened for that: to close it
// would take away all of SQLite's locks on it (fcntl(2)).
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
		return 0 // another system than Linux
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

// parseMapping reads a line of proc_pid_maps(5): it returns where the file begins, or 0
// where the line is of something else.
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

// reader is a connection that reads.
type reader struct {
	*Conn
	// held is the last commit in the snapshot, or one before.
	held commit
}

// refresh makes c see what was committed before. While the writer is at work no new
// snapshot is held: that would be in the way of its checkpoint.
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
	c.held = last // the first query takes the snapshot: it is of this commit, or a later one
	return c.run("BEGIN")
}

// release ends the reader's transaction, unless there is none.
func (c *reader) release() error {
	if c.conn.AutocommitEnabled() {
		return nil
	}
	return c.run("ROLLBACK")
}

// releaseIdle lets the snapshots of idle readers go.
func (r *readers) releaseIdle() {
	for range len(r.free) {
		select {
		case c := <-r.free:
			_ = c.release() // as good as never, and then the next read fails
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
