// Package postgres opens a PostgreSQL database for a service: a connection pool with
// prepared statements, and a schema of its own. The pool drops connections that a
// failover has made unusable.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/telemetry"
)

const (
	// connectTimeout limits opening a connection, unless the address has connect_timeout.
	connectTimeout = 5 * time.Second
	// defaultMaxConns is the size of the pool, unless the address has pool_max_conns.
	defaultMaxConns = 16
	// lockInterval is the time between two attempts to take the migration lock.
	lockInterval = 100 * time.Millisecond
	// lostAfter is how long the peer of a connection may acknowledge nothing. idleProbe is
	// the idle time before the first keep-alive probe.
	lostAfter = 5 * time.Second
	idleProbe = 5 * time.Second
)

// DB is an open database.
type DB struct {
	*pgxpool.Pool
	// probe has one connection for Check, so that a busy pool doesn't look like an
	// unavailable database.
	probe *pgxpool.Pool
	set   migration.Set
	// pending is the number of pending migrations at the last Check that could read it. up:
	// the last Check succeeded.
	pending atomic.Int64
	up      atomic.Bool
	// readOnly: the last Check found a read-only database.
	readOnly atomic.Bool
	answers  *answerCount // of the pool, without probe
}

// Open connects to the database at address and logs in with as. set has the schema's
// migrations, which Open doesn't apply. Errors don't contain the address, which may have
// a password. A password file is read for each connection.
//
// Statements are prepared and cached. Behind PgBouncer before 1.21 in transaction mode,
// add default_query_exec_mode=exec to the address.
func Open(ctx context.Context, address string, as database.Login, set migration.Set) (*DB, error) {
	err := as.Check(address)
	if err != nil {
		return nil, err
	}
	c, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, errors.New("DATABASE_URL can't be read") // err contains parts of it
	}
	if c.ConnConfig.ConnectTimeout == 0 || c.ConnConfig.ConnectTimeout > time.Minute {
		c.ConnConfig.ConnectTimeout = connectTimeout
	}
	if parsed, err := pgx.ParseConfig(address); err == nil && parsed.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = set.Schema
	}
	if !strings.Contains(address, "pool_max_conns") {
		c.MaxConns = defaultMaxConns
	}
	l := &login{Login: as}
	l.use(c)
	dropUseless(c)
	c.AfterConnect = prepare
	answers := &answerCount{}
	c.ConnConfig.Tracer = answers
	if telemetry.Tracing() {
		c.ConnConfig.Tracer = newTracer(answers)
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, Wrap(err)
	}
	err = pool.Ping(ctx)
	if err != nil {
		pool.Close()
		return nil, Wrap(err)
	}
	alone := c.Copy()
	alone.MaxConns, alone.MinConns, alone.MinIdleConns = 1, 0, 0
	alone.ConnConfig.Tracer = nil
	probe, err := pgxpool.NewWithConfig(ctx, alone)
	if err != nil {
		pool.Close()
		return nil, Wrap(err)
	}
	return &DB{Pool: pool, probe: probe, set: set, answers: answers}, nil
}

// prepare prepares a new connection.
func prepare(ctx context.Context, conn *pgx.Conn) error {
	conn.PgConn().CustomData()[openedAt] = time.Now()
	// Behind a pooler that prepares nothing, the server doesn't report the types of
	// parameters.
	conn.TypeMap().RegisterDefaultPgType([]uuid.UUID(nil), "_uuid")
	return requireReadCommitted(ctx, conn)
}

// requireReadCommitted rejects a session whose statements don't see what was committed while
// they waited for a lock. An order of a user who is being deleted could escape the erasure.
func requireReadCommitted(ctx context.Context, conn *pgx.Conn) error {
	var level string
	err := conn.QueryRow(ctx, "SHOW default_transaction_isolation", pgx.QueryExecModeSimpleProtocol).Scan(&level)
	if err == nil && level == "repeatable read" {
		err = errors.New("default_transaction_isolation is repeatable read, in DATABASE_URL or by ALTER ROLE or ALTER DATABASE: it must be read committed")
	}
	return err
}

// Migrate applies the pending migrations.
func (db *DB) Migrate(ctx context.Context, log *slog.Logger) error {
	plain := stdlib.OpenDBFromPool(db.Pool)
	err := db.set.Up(ctx, plain, func(ctx context.Context, plain *sql.DB) (func() error, error) { return db.lock(ctx, plain, log) }, log)
	return errors.Join(Wrap(err), plain.Close())
}

// Check returns an error unless the database answers and its schema is new enough. If
// ctx's deadline passes first, but the pool got answers meanwhile, the previous result
// stands: a service that lacks CPU is slow, and its database isn't unavailable.
//
// For a read-only database the error is health.ErrDegraded: reads work
// (docs/decisions/read-only-database.md).
func (db *DB) Check(ctx context.Context) error {
	before := db.answers.Load()
	plain := stdlib.OpenDBFromPool(db.probe)
	pending, err := db.set.Check(ctx, plain)
	if err == nil || pending > 0 { // otherwise unknown, so unchanged
		db.pending.Store(int64(pending))
	}
	if err == nil {
		err = db.checkWritable(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && db.up.Load() && db.answers.Load() != before {
		err = nil
	}
	db.up.Store(err == nil)
	if err == nil && db.readOnly.Load() {
		err = errReadOnly
	}
	return errors.Join(Wrap(err), plain.Close())
}

// Close waits for running queries, and closes the connections.
func (db *DB) Close() error {
	db.Pool.Close()
	db.probe.Close()
	return nil
}

// lock takes an advisory lock in a transaction on its own connection. That works behind a
// pooler, which keeps a transaction on one connection, and the lock ends with the
// process. lock also creates the schema, which goose's version table needs.
func (db *DB) lock(ctx context.Context, plain *sql.DB, log *slog.Logger) (func() error, error) {
	c := db.Config()
	err := c.BeforeConnect(ctx, c.ConnConfig)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, c.ConnConfig)
	if err != nil {
		return nil, err
	}
	// Closing the connection ends the transaction, and so releases the lock.
	unlock := func() error { return conn.Close(context.WithoutCancel(ctx)) }
	for waits := 0; ; waits++ {
		got, err := db.tryLock(ctx, conn)
		if err != nil {
			return nil, errors.Join(err, unlock())
		}
		if got {
			break
		}
		if waits == 0 {
			log.InfoContext(ctx, "waiting for another process to finish the migrations")
		}
		timer := time.NewTimer(lockInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, errors.Join(ctx.Err(), unlock())
		case <-timer.C:
		}
	}
	err = db.makeSchema(ctx, plain)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	return unlock, nil
}

// tryLock begins a transaction and takes the lock. If it returns false, it has rolled
// back.
func (db *DB) tryLock(ctx context.Context, conn *pgx.Conn) (bool, error) {
	id := fnv.New64a()
	fmt.Fprintf(id, "migrate %s", db.set.Schema)
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	// The transaction is idle for as long as the migrations take.
	_, err = tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0")
	if err != nil {
		return false, errors.Join(err, tx.Rollback(ctx))
	}
	var got bool
	err = tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(id.Sum64())).Scan(&got) //nolint:gosec // any 64 bits will do
	if err != nil || !got {
		return false, errors.Join(err, tx.Rollback(ctx))
	}
	return true, nil
}

// makeSchema creates the schema if it doesn't exist. If it does, no CREATE privilege is
// needed.
func (db *DB) makeSchema(ctx context.Context, plain *sql.DB) error {
	var exists bool
	err := plain.QueryRowContext(ctx, "SELECT to_regnamespace($1) IS NOT NULL", db.set.Schema).Scan(&exists)
	if err != nil || exists {
		return err
	}
	_, err = plain.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{db.set.Schema}.Sanitize())
	return err
}

// Wrap wraps errors as database.ErrUnavailable if the database can't answer now: no
// connection or session, server starting or stopping, too many connections, disk full or broken,
// read-only after a failover, lock or statement timeout, serialization failure or
// deadlock.
func Wrap(err error) error {
	var server *pgconn.PgError
	var network net.Error
	connect, isConnect := errors.AsType[*pgconn.ConnectError](err)
	if isConnect {
		err = connect.Unwrap() // ConnectError's own text contains the user
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, database.ErrUnavailable):
		return err
	case errors.As(err, &server):
		if isConnect || !isError(server) {
			return database.Unavailable(err) // there is no session, or it was ended
		}
		switch server.Code[:2] {
		case "08", "28", "40", "53", "57", "58":
			return database.Unavailable(err)
		}
		switch server.Code {
		case "25006", "3D000", "55P03":
			return database.Unavailable(err)
		}
		return err
	case isConnect, errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled), pgconn.SafeToRetry(err), isBroken(err):
		return database.Unavailable(err)
	}
	return err
}

// Violates reports whether err violates the constraint, of any kind.
func Violates(err error, constraint string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code[:2] == "23" && e.ConstraintName == constraint
}

// UniqueViolation reports whether err violates the unique constraint.
func UniqueViolation(err error, constraint string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "23505" && e.ConstraintName == constraint
}

// isBroken reports whether a connection was lost while it was in use.
func isBroken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
