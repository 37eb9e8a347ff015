package sqlite

import (
	"context"
	"database/sql"
	"sync"

	"github.com/example/microservices/pkg/database"
)

// Statements is the prepared statements of a connection pool, made when they
// are first needed: before that the schema may not be there yet.
type Statements[Q any] struct {
	prepare func(context.Context) (Q, error)

	mu    sync.Mutex
	ready bool
	q     Q
}

// NewStatements returns the statements that prepare makes on db. D is the
// interface that generated code has for a database.
func NewStatements[D, Q any](db *sql.DB, prepare func(context.Context, D) (Q, error)) *Statements[Q] {
	return &Statements[Q]{prepare: func(ctx context.Context) (Q, error) {
		d, _ := any(db).(D)
		return prepare(ctx, d)
	}}
}

// Get returns the statements. It must not be called from within a DB.Write,
// which holds the connection that they are prepared on.
func (s *Statements[Q]) Get(ctx context.Context) (Q, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		return s.q, nil
	}
	q, err := s.prepare(ctx)
	if err != nil {
		return q, Wrap(err)
	}
	s.q, s.ready = q, true
	return q, nil
}

// Stats returns the state of the pool of readers.
func (db *DB) Stats() database.PoolStats {
	s := db.Read.Stats()
	return database.PoolStats{Used: s.InUse, Idle: s.Idle, Max: s.MaxOpenConnections, Waits: s.WaitCount, Waited: s.WaitDuration}
}
