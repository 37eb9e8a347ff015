package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/example/microservices/pkg/health"
)

// openedAt is the key under which a connection has the time it was opened.
const openedAt = "openedAt"

// isUseless says that a connection that was told e is of no use any more: the
// server is read-only, stops, has crashed or only starts, or has lost what the
// connection prepared. pgx then closes the connection, and the pool drops it.
func isUseless(e *pgconn.PgError) bool {
	switch e.Code {
	case "25006", // read_only_sql_transaction: it was a primary once
		"57P01", "57P02", "57P03", // admin_shutdown, crash_shutdown, cannot_connect_now
		"26000", "0A000": // what was prepared is gone (a pooler), or of another type (a migration)
		return true
	}
	return !isError(e) || strings.HasPrefix(e.Code, "08")
}

// isError says that the session goes on after e. Severity is in the server's own
// language.
func isError(e *pgconn.PgError) bool {
	severity := cmp.Or(e.SeverityUnlocalized, e.Severity)
	return severity != "FATAL" && severity != "PANIC"
}

// dropUseless makes a pool of c let go of connections that are of no use any more,
// and notice soon which those are.
func dropUseless(c *pgxpool.Config) {
	c.ConnConfig.OnPgError = func(_ *pgconn.PgConn, e *pgconn.PgError) bool { return !isUseless(e) }
	c.ConnConfig.DialFunc = (&net.Dialer{
		Timeout: c.ConnConfig.ConnectTimeout,
		Control: giveUp,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: idleProbe, Interval: time.Second, Count: int(lostAfter / time.Second),
		},
	}).DialContext
	c.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.PgConn().CustomData()[openedAt] = time.Now()
		// Behind a pooler that prepares nothing, no server says of what type a value is.
		conn.TypeMap().RegisterDefaultPgType([]uuid.UUID(nil), "_uuid")
		return nil
	}
	c.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		return p.IdleDuration > time.Second || hasNews(p.Conn.PgConn().Conn())
	}
	if c.MaxConnLifetimeJitter == 0 {
		c.MaxConnLifetimeJitter = c.MaxConnLifetime / 10 // not all at once
	}
}

// checkWritable finds out whether the database is read-only. Where that has
// changed, or new connections lead to another server, the pool's are made anew:
// those to the server of before may be read from for as long as they live.
func (db *DB) checkWritable(ctx context.Context) error {
	before, err := isReadOnly(ctx, db.probe)
	if err != nil {
		return err
	}
	now := before
	if before {
		db.probe.Reset()
		now, err = isReadOnly(ctx, db.probe)
		if err != nil {
			return err
		}
	}
	if db.readOnly.Swap(now) != now || before != now {
		db.Reset()
	}
	return nil
}

// isReadOnly says that a server refuses to write: a replica, or one that was told
// to.
func isReadOnly(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var setting string
	err := pool.QueryRow(ctx, "SHOW transaction_read_only").Scan(&setting)
	return setting == "on", err
}

var errReadOnly = fmt.Errorf("it is read-only: %w", health.ErrDegraded)

// nothingDone says that a statement outside of a transaction has certainly not
// been done: it was not sent, or the server refused it. An answer that got lost may
// be that of a commit.
func nothingDone(err error) bool {
	if pgconn.SafeToRetry(err) {
		return true
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && isError(refused) && (refused.Code == "25006" || refused.Code == "26000" || refused.Code == "0A000")
}

// again runs a statement on one connection after the other, while the connection
// turns out to be useless and nothing was done: after a failover all that the pool
// has may be. It ends with the first connection that was opened meanwhile, and
// with an error of opening one. do gives the connection back.
func (db *DB) again(ctx context.Context, do func(*pgxpool.Conn) error) error {
	began := time.Now()
	for {
		conn, err := db.acquire(ctx)
		if err != nil {
			return err
		}
		opened, _ := conn.Conn().PgConn().CustomData()[openedAt].(time.Time)
		err = do(conn)
		if err == nil || opened.After(began) || ctx.Err() != nil || !nothingDone(err) {
			return err
		}
	}
}

// Exec is [pgxpool.Pool.Exec]. A statement that a useless connection did not do is
// done on another; see [DB.Query].
func (db *DB) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	err = db.again(ctx, func(conn *pgxpool.Conn) error {
		defer conn.Release()
		var err error
		tag, err = conn.Exec(ctx, sql, args...)
		return err
	})
	return tag, err
}

// Query is [pgxpool.Pool.Query], and waits for the first row. A statement that
// certainly did nothing, because its connection was of no use any more, is sent on
// another connection. One whose answer was lost is not: it may have been done.
func (db *DB) Query(ctx context.Context, sql string, args ...any) (result pgx.Rows, err error) {
	err = db.again(ctx, func(conn *pgxpool.Conn) error {
		found, err := conn.Query(ctx, sql, args...)
		if err != nil {
			conn.Release()
			return err
		}
		first := &rows{Rows: found, conn: conn}
		first.more, first.peeked = first.Next(), true
		result = first
		return found.Err()
	})
	return result, err
}

// QueryRow is [pgxpool.Pool.QueryRow], with Query's rule. It sends the query when
// the row is scanned.
func (db *DB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return row(func() (pgx.Rows, error) { return db.Query(ctx, sql, args...) })
}

// rows give their connection back when they end.
type rows struct {
	pgx.Rows
	conn         *pgxpool.Conn
	peeked, more bool
}

// Next is part of pgx.Rows.
func (r *rows) Next() bool {
	if r.peeked {
		r.peeked = false
		return r.more
	}
	more := r.Rows.Next()
	if !more {
		r.Close()
	}
	return more
}

// Close is part of pgx.Rows.
func (r *rows) Close() {
	r.Rows.Close()
	r.conn.Release()
}

// row is a query of one row.
type row func() (pgx.Rows, error)

// Scan is part of pgx.Row.
func (query row) Scan(dest ...any) error {
	r, err := query()
	if err != nil {
		return err
	}
	defer r.Close()
	if !r.Next() {
		if r.Err() == nil {
			return pgx.ErrNoRows
		}
		return r.Err()
	}
	err = r.Scan(dest...)
	if err != nil {
		return err
	}
	r.Close()
	return r.Err()
}
