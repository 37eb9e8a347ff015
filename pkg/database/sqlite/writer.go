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
	// maxGroup is how many writes share a commit at most.
	maxGroup = 64
	// lockRetry is the time between two tries to get the migration lock.
	lockRetry = 10 * time.Millisecond
	// wipeTimeout is how long to wait for readers of the log before it is emptied, and
	// wipeRetry the time until the next try. It is no sooner emptied again, either, which
	// flushes the disk: where thousands are erased, once for many.
	wipeTimeout = 20 * time.Millisecond
	wipeRetry   = time.Second
)

var errClosed = database.Unavailable(errors.New("the database is closed"))

// writer runs writes one after the other. Those that wait while it commits are
// committed together, each in a savepoint of its own: what one does is undone
// without harm to the others, and all share one flush.
type writer struct {
	conn    *Conn
	readers *readers
	queue   chan *job
	quit    chan struct{}
	done    sync.WaitGroup
	// scrubber is used by the loop alone.
	scrubber scrubber
	// wiped is when the log was emptied last.
	wiped time.Time
}

type job struct {
	ctx  context.Context
	do   func(*Conn) error
	err  error
	done chan struct{}
}

func startWriter(c *Conn, r *readers) *writer {
	w := &writer{conn: c, readers: r, queue: make(chan *job), quit: make(chan struct{})}
	w.scrubber.begin() // a stop may have cut it short
	w.done.Add(1)
	go w.loop()
	return w
}

func (w *writer) write(ctx context.Context, do func(*Conn) error) error {
	err := ctx.Err()
	if err != nil { // below, it would be one of two by chance
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
	// From here on it will be answered, and soon: what has begun is not
	// abandoned, so that the caller knows whether it was done.
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
		if w.scrubber.at > 0 {
			idle = time.After(scrubPause)
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
		w.scrub(scrubBeside)
		if time.Since(w.wiped) >= wipeRetry {
			w.wipe()
		}
	}
}

// wipe takes out of the log what was erased: pages as they were before are in it until it
// is emptied. While another process reads them, it is tried again soon.
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

// empty empties the log. Where it can't, as another process reads it, it is to be tried
// again.
func (c *Conn) empty() {
	c.conn.SetBusyTimeout(wipeTimeout)
	defer c.conn.SetBusyTimeout(busyTimeout)
	busy := int64(1)
	err := c.query("PRAGMA wal_checkpoint(TRUNCATE)", func(r Row) error { busy = r.Int(0); return nil }, nil)
	c.erases = err != nil || busy != 0
}

// collect takes in whoever waits already.
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

// commit runs a group in one transaction, which belongs to all of it: no one's context
// ends it.
func (w *writer) commit(group []*job) {
	w.readers.writing.Store(true)
	defer w.readers.writing.Store(false)
	w.readers.releaseIdle() // so that the log can begin anew, and a checkpoint takes all of it
	err := w.conn.run("BEGIN IMMEDIATE")
	if err != nil {
		fail(group, err)
		return
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
	}
}

// rollback ends the transaction, unless that has ended by itself.
func (w *writer) rollback() error {
	if w.conn.conn.AutocommitEnabled() {
		return nil
	}
	return w.conn.run("ROLLBACK")
}

// fail gives err to those of the group that would otherwise be told that all
// is well.
func fail(group []*job, err error) {
	for _, j := range group {
		if j.err == nil {
			j.err = err
		}
	}
}

// savepoint runs one job. Its error is of the transaction, not of the job.
func (w *writer) savepoint(j *job) error {
	err := w.conn.run("SAVEPOINT job")
	if err != nil {
		return err
	}
	j.err = protect(w.conn, j.do)
	if j.err != nil {
		err = w.conn.run("ROLLBACK TO job")
		if err != nil {
			// A full or broken disk has ended the whole transaction: that is
			// what the others must hear of.
			return errors.Join(j.err, err)
		}
	}
	return w.conn.run("RELEASE job")
}

// protect turns a panic into an error: the others of the group have a right to
// their commit.
func protect(c *Conn, do func(*Conn) error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic in a write: %v\n%s", cause, debug.Stack())
		}
	}()
	return do(c)
}
