package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/join"
)

// joined returns a Joiner with at most atOnce statements in flight. together's error is
// database.ErrUnavailable if it took more than five seconds.
func joined[K comparable, V any](atOnce int, alone func(context.Context, K) (V, error), together func(context.Context, []K) (map[K]V, error), missing error) *join.Joiner[K, V] {
	limits := join.Limits{AtOnce: atOnce, Patience: 100 * time.Millisecond, Within: 5 * time.Second}
	return join.New(limits, alone, func(ctx context.Context, keys []K) (map[K]V, error) {
		values, err := together(ctx, keys)
		if errors.Is(err, context.DeadlineExceeded) {
			err = database.Unavailable(err)
		}
		return values, err
	}, missing)
}

// JoinReads returns a function that reads a row like one. Its concurrent calls share
// statements of many. Both return pgx.ErrNoRows, or no row, for a missing key.
func JoinReads[K comparable, V any](one func(context.Context, K) (V, error), many func(context.Context, []K) (map[K]V, error)) func(context.Context, K) (V, error) {
	// Two, because the server works on one while the rows of the other are read.
	return joined(2, one, many, pgx.ErrNoRows).Do
}

// limitLocks limits the time that a shared transaction waits for each lock, so that one
// caller's conflict doesn't delay the others, and two processes' transactions don't block
// each other until the server looks for deadlocks, after a second.
const limitLocks = "-- name: LimitLocks\nSELECT set_config('lock_timeout', '100ms', true)"

// Joined is a database whose concurrent calls of Exec share transactions: one round trip
// and one commit for up to 64 of them. Each statement has its own result, and fails alone.
type Joined struct {
	*DB
	writes *join.Joiner[*write, written]
}

// write is a statement, and written its result. rejected: nothing was done, because the
// server rejected one of the transaction's statements.
type (
	write struct {
		sql  string
		args []any
	}
	written struct {
		tag      pgconn.CommandTag
		rejected bool
	}
)

// JoinWrites returns db with an Exec for statements that need no transaction of their own.
func JoinWrites(db *DB) *Joined {
	alone := func(ctx context.Context, w *write) (written, error) {
		tag, err := db.Exec(ctx, w.sql, w.args...)
		return written{tag: tag}, err
	}
	// With a second transaction in flight both have fewer statements, and cost more.
	return &Joined{db, joined(1, alone, db.together, nil)} // together returns a result for each
}

// Exec is [DB.Exec], in a transaction shared with other calls if one is being executed
// already. It returns database.ErrUnavailable if a shared transaction took more than five
// seconds. Then, after ctx's end, and after a lost answer the statement may have been
// executed.
func (j *Joined) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	result, err := j.writes.Do(ctx, &write{sql, args})
	if err == nil && result.rejected {
		return j.DB.Exec(ctx, sql, args...)
	}
	return result.tag, err
}

// together executes statements in one transaction.
func (db *DB) together(ctx context.Context, writes []*write) (map[*write]written, error) {
	results := make(map[*write]written, len(writes))
	err := db.again(ctx, func(conn *pgxpool.Conn) error {
		defer conn.Release()
		return inOneTransaction(ctx, conn, writes, results)
	})
	rejection, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || !isError(rejection) {
		return results, err
	}
	for _, w := range writes {
		results[w] = written{rejected: true}
	}
	return results, nil
}

// inOneTransaction sends all statements at once. Without BEGIN, the server commits at their
// end, unless one has failed (PostgreSQL's documentation, section "Pipelining").
func inOneTransaction(ctx context.Context, conn *pgxpool.Conn, writes []*write, results map[*write]written) error {
	batch := &pgx.Batch{}
	batch.Queue(limitLocks)
	for _, w := range writes {
		batch.Queue(w.sql, w.args...)
	}
	sent := conn.SendBatch(ctx, batch)
	_, err := sent.Exec()
	for _, w := range writes {
		if err != nil {
			break
		}
		var tag pgconn.CommandTag
		tag, err = sent.Exec()
		results[w] = written{tag: tag}
	}
	closed := sent.Close() // waits for the commit
	if err != nil {
		return err
	}
	return closed
}
