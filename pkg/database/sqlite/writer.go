package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/example/microservices/pkg/database"
)

const (
	// maxGroup limits how many writes share a commit.
	maxGroup = 64
	// lockRetry is the time between two attempts to take the migration lock.
	lockRetry = 10 * time.Millisecond
	// wipeTimeout limits the wait for readers of the WAL before it is truncated, and
	// wipeRetry is the time until the next attempt. It is also the minimum time between two
	// truncations, each of which flushes the disk: thousands of erasures share one.
	wipeTimeout = 20 * time.Millisecond
	wipeRetry   = time.Second
)

var errClosed = database.Unavailable(errors.New("the database is closed"))

// writer runs writes one after the other. Writes that arrive during a commit are
// committed together, each in its own savepoint: one can be rolled back without the
// others, and all share one flush.
type writer struct {
	conn    *Conn
	readers *readers
	queue   chan *job
	quit    chan struct{}
	done    sync.WaitGroup
	// scrubber is used by loop only.
	scrubber scrubber
	// wiped is when the WAL was last truncated.
	wiped time.Time
	// toSkip is how many numbers the first transaction skips; 0: they are skipped.
	toSkip int64
}

type job struct {
	ctx  context.Context
	do   func(*Conn) error
	err  error
	done chan struct{}
}

func startWriter(c *Conn, r *readers) *writer {
	w := &writer{conn: c, readers: r, queue: make(chan *job), quit: make(chan struct{}), toSkip: toSkip()}
	w.scrubber.begin() // the last scrub may be incomplete
	w.done.Add(1)
	go w.loop()
	return w
}

func (w *writer) write(ctx context.Context, do func(*Conn) error) error {
	err := ctx.Err()
	if err != nil { // otherwise the select below might choose the queue
		return err
	}
	j := &job{ctx: ctx, do: do, done: make(chan struct{})}
	select {
	case w.queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return errClosed
	}
	// Wait for the result, whatever ctx says: it comes soon, and the caller learns whether
	// the write was done.
	<-j.done
	return j.err
}

func (w *writer) close() error {
	close(w.quit)
	w.done.Wait()
	return w.conn.conn.Close()
}

func (w *writer) loop() {
	defer w.done.Done()
	group := make([]*job, 0, maxGroup)
	retry := time.NewTicker(wipeRetry)
	defer retry.Stop()
	for {
		var idle <-chan time.Time
		w.scrubber.save(time.Now())
		if w.scrubber.at > 0 {
			idle = time.After(w.scrubber.pause())
		}
		select {
		case <-w.quit:
			w.finish()
			return
		case <-idle:
			w.scrub(scrubStep)
			w.wipe()
			continue
		case <-retry.C:
			w.wipe()
			continue
		case first := <-w.queue:
			group = w.collect(append(group[:0], first))
		}
		w.commit(group)
		for _, j := range group {
			close(j.done)
		}
		if w.conn.erases {
			w.scrubber.begin()
		}
		if w.scrubber.saved > 0 {
			w.scrub(scrubBeside)
		}
		if time.Since(w.wiped) >= wipeRetry {
			w.wipe()
		}
	}
}

// wipe truncates the WAL if something was erased: until then the WAL has older versions
// of the pages. It is retried while another process reads the WAL.
func (w *writer) wipe() {
	if !w.conn.erases {
		return
	}
	w.readers.writing.Store(true)
	defer w.readers.writing.Store(false)
	w.readers.releaseIdle()
	w.conn.empty()
	w.wiped = time.Now()
}

// empty truncates the WAL. If another process is reading it, erases stays set for a
// retry.
func (c *Conn) empty() {
	c.conn.SetBusyTimeout(wipeTimeout)
	defer c.conn.SetBusyTimeout(busyTimeout)
	busy := int64(1)
	err := c.query("PRAGMA wal_checkpoint(TRUNCATE)", func(r Row) error { busy = r.Int(0); return nil }, nil)
	c.erases = err != nil || busy != 0
}

// collect adds the writes that are already waiting.
func (w *writer) collect(group []*job) []*job {
	for len(group) < maxGroup {
		select {
		case j := <-w.queue:
			group = append(group, j)
		default:
			return group
		}
	}
	return group
}

// commit runs a group in one transaction. No caller's context ends it, because it belongs
// to all of them.
func (w *writer) commit(group []*job) {
	w.readers.writing.Store(true)
	defer w.readers.writing.Store(false)
	w.readers.releaseIdle() // lets a checkpoint finish, and the WAL start over
	err := w.conn.run("BEGIN IMMEDIATE")
	if err != nil {
		fail(group, err)
		return
	}
	if w.toSkip > 0 {
		err = skipNumbers(w.conn, w.toSkip)
		if err != nil {
			fail(group, errors.Join(err, w.rollback()))
			return
		}
	}
	for _, j := range group {
		j.err = j.ctx.Err()
		if j.err != nil {
			continue
		}
		err = w.savepoint(j)
		if err != nil {
			fail(group, errors.Join(err, w.rollback()))
			return
		}
	}
	err = w.conn.run("COMMIT")
	if err != nil {
		fail(group, errors.Join(fmt.Errorf("commit: %w", err), w.rollback()))
		return
	}
	w.toSkip = 0
}

// rollback ends the transaction, unless SQLite has already done so.
func (w *writer) rollback() error {
	if w.conn.conn.AutocommitEnabled() {
		return nil
	}
	return w.conn.run("ROLLBACK")
}

// fail sets err on the jobs of the group that have no error yet.
func fail(group []*job, err error) {
	for _, j := range group {
		if j.err == nil {
			j.err = err
		}
	}
}

// savepoint runs one job. It returns an error of the transaction, not of the job.
func (w *writer) savepoint(j *job) error {
	err := w.conn.run("SAVEPOINT job")
	if err != nil {
		return err
	}
	j.err = protect(w.conn, j.do)
	if j.err != nil {
		err = w.conn.run("ROLLBACK TO job")
		if err != nil {
			// A full or broken disk has ended the whole transaction: the other jobs must fail
			// as well.
			return errors.Join(j.err, err)
		}
	}
	return w.conn.run("RELEASE job")
}

// protect turns a panic into an error, so that the rest of the group can commit.
func protect(c *Conn, do func(*Conn) error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic in a write: %v\n%s", cause, debug.Stack())
		}
	}()
	return do(c)
}
