package sqlite

import (
	"context"
	"database/sql"
	"sync"
	"sync/atomic"

	"github.com/example/microservices/pkg/database"
)

// Statements is the prepared statements of a connection pool, made when they
// are first needed: before that the schema may not be there yet.
type Statements[Q any] struct {
	prepare func(context.Context) (Q, error)

	mu   sync.Mutex // of those who prepare
	made atomic.Pointer[Q]
}

// NewStatements returns the statements that prepare makes on db. D is the
// interface that generated code has for a database.
func NewStatements[D, Q any](db *sql.DB, prepare func(context.Context, D) (Q, error)) *Statements[Q] {
	return &Statements[Q]{prepare: func(ctx context.Context) (Q, error) {
		d, _ := any(db).(D)
		return prepare(ctx, d)
	}}
}

// Get returns the statements, and the context to call them with. That one
// isn't cancelled with ctx: what a service asks of SQLite takes microseconds,
// and two goroutines that watch for the end of a context take longer than that.
//
// It must not be called from within a DB.Write, which holds the connection that
// the statements are prepared on.
func (s *Statements[Q]) Get(ctx context.Context) (context.Context, Q, error) {
	err := ctx.Err()
	if err != nil {
		var none Q
		return ctx, none, err
	}
	ctx = context.WithoutCancel(ctx)
	q := s.made.Load()
	if q != nil {
		return ctx, *q, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q = s.made.Load()
	if q != nil {
		return ctx, *q, nil
	}
	prepared, err := s.prepare(ctx)
	if err != nil {
		return ctx, prepared, Wrap(err)
	}
	s.made.Store(&prepared)
	return ctx, prepared, nil
}

// Stats returns the state of the pool of readers.
func (db *DB) Stats() database.Stats {
	s := db.Read.Stats()
	return database.Stats{
		Used: s.InUse, Idle: s.Idle, Max: s.MaxOpenConnections, Waits: s.WaitCount, Waited: s.WaitDuration,
		Pending: int(db.pending.Load()),
	}
}
