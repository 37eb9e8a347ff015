package sqlite

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/example/microservices/pkg/database"
)

// readers is the pool of reading connections.
type readers struct {
	free   chan *reader
	all    []*reader
	closed chan struct{}
	done   sync.WaitGroup
	index  walIndex
	// writing: this process's writer is in a transaction or a checkpoint.
	writing atomic.Bool
	// waits counts the waits for a reader, and waited is their total time in nanoseconds.
	waits, waited atomic.Int64
}

func openReaders(path string, n int) (*readers, error) {
	r := &readers{free: make(chan *reader, n), closed: make(chan struct{})}
	for range n {
		c, err := connect(path)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.all = append(r.all, &reader{Conn: c})
		r.free <- r.all[len(r.all)-1]
	}
	err := r.all[0].run("SELECT count(*) FROM sqlite_schema") // so that the wal-index exists
	if err != nil {
		return nil, errors.Join(Wrap(err), r.close())
	}
	r.index = findWALIndex(path)
	r.done.Go(r.releaseLoop)
	return r, nil
}

func (r *readers) get(ctx context.Context) (*reader, error) {
	select {
	case c := <-r.free:
		return c, nil
	default:
	}
	began := time.Now()
	defer func() {
		r.waits.Add(1)
		r.waited.Add(int64(time.Since(began)))
	}()
	select {
	case c := <-r.free:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-r.closed:
		return nil, errClosed
	}
}

// put returns a reader to the pool. It keeps its snapshot if the read succeeded and
// nobody writes.
func (r *readers) put(c *reader, failed bool) {
	if failed || r.writing.Load() {
		_ = c.release() // the next read fails if this does
	}
	r.free <- c
}

// close waits for running reads.
func (r *readers) close() error {
	close(r.closed)
	r.done.Wait()
	var errs []error
	for range r.all {
		errs = append(errs, (<-r.free).conn.Close())
	}
	return errors.Join(errs...)
}

// Read runs do with a connection that sees everything committed before. do may only
// query. Queries take microseconds, so ctx doesn't interrupt them: it ends only the wait
// for a connection.
func (db *DB) Read(ctx context.Context, do func(*Conn) error) error {
	err := ctx.Err()
	if err != nil {
		return err
	}
	c, err := db.readers.get(ctx)
	if err != nil {
		return err
	}
	failed := true
	defer func() { db.readers.put(c, failed) }()
	err = db.readers.refresh(c)
	if err == nil {
		err = do(c.Conn)
	}
	failed = err != nil
	return Wrap(err)
}

// Stats returns the state of the pool of readers, and the pending migrations.
func (db *DB) Stats() database.Stats {
	r := db.readers
	idle := len(r.free)
	return database.Stats{
		Used: len(r.all) - idle, Idle: idle, Max: len(r.all), Waits: r.waits.Load(), Waited: time.Duration(r.waited.Load()),
		Pending: int(db.pending.Load()),
	}
}
