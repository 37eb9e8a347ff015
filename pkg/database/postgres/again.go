package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/example/microservices/pkg/health"
)

// openedAt is the key of a connection's opening time in its custom data.
const openedAt = "openedAt"

// isUseless reports whether a connection that got e can't be used any more: the server is
// read-only, is starting or stopping, or has lost a prepared statement. pgx then closes
// the connection, and the pool drops it.
func isUseless(e *pgconn.PgError) bool {
	switch e.Code {
	case "25006", // read_only_sql_transaction: the server is no longer the primary
		"57P01", "57P02", "57P03", // admin_shutdown, crash_shutdown, cannot_connect_now
		"26000", "0A000": // a prepared statement is gone (behind a pooler) or has other types (after a migration)
		return true
	}
	return !isError(e) || strings.HasPrefix(e.Code, "08")
}

// isError reports whether the session survives e. The unlocalised severity comes first:
// Severity is in the server's language.
func isError(e *pgconn.PgError) bool {
	severity := cmp.Or(e.SeverityUnlocalized, e.Severity)
	return severity != "FATAL" && severity != "PANIC"
}

// dropUseless makes a pool drop connections that can't be used any more, and detect them
// quickly.
func dropUseless(c *pgxpool.Config) {
	c.ConnConfig.OnPgError = func(_ *pgconn.PgConn, e *pgconn.PgError) bool { return !isUseless(e) }
	c.ConnConfig.DialFunc = (&net.Dialer{
		Timeout: c.ConnConfig.ConnectTimeout,
		Control: giveUp,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: idleProbe, Interval: time.Second, Count: int(lostAfter / time.Second),
		},
	}).DialContext
	c.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		return p.IdleDuration > time.Second || hasNews(p.Conn.PgConn().Conn())
	}
	if c.MaxConnLifetimeJitter == 0 {
		c.MaxConnLifetimeJitter = c.MaxConnLifetime / 10 // so that connections don't expire all at once
	}
}

// checkWritable records whether the database is read-only. If that changed, or new
// connections reach another server, it resets the pool: its connections may still lead to
// the old server, and reads would go there for as long as they live.
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

// isReadOnly reports whether the server rejects writes: it is a replica, or configured
// so.
func isReadOnly(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var setting string
	err := pool.QueryRow(ctx, "SHOW transaction_read_only").Scan(&setting)
	return setting == "on", err
}

var errReadOnly = fmt.Errorf("it is read-only: %w", health.ErrDegraded)

// nothingDone reports whether a statement outside a transaction certainly had no effect:
// it wasn't sent, or the server rejected it. If only the answer was lost, the statement
// may have been committed.
func nothingDone(err error) bool {
	if pgconn.SafeToRetry(err) {
		return true
	}
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && isError(refused) && (refused.Code == "25006" || refused.Code == "26000" || refused.Code == "0A000")
}

// again runs a statement on one connection after the other, while the connection turns
// out to be unusable and nothing was done: after a failover that may be true of the whole
// pool. It stops at the first connection that was opened after it began, and if no
// connection can be opened. do releases the connection.
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

// Exec is [pgxpool.Pool.Exec] with the retries of [DB.Query].
func (db *DB) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	err = db.again(ctx, func(conn *pgxpool.Conn) error {
		defer conn.Release()
		var err error
		tag, err = conn.Exec(ctx, sql, args...)
		return err
	})
	return tag, err
}

// Query is [pgxpool.Pool.Query], but waits for the first row. It retries a statement on
// another connection if its connection was unusable and the statement certainly had no
// effect. It doesn't retry if the answer was lost: the statement may have been executed.
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

// QueryRow is [pgxpool.Pool.QueryRow] with the retries of [DB.Query]. It sends the query
// when the row is scanned.
func (db *DB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return row(func() (pgx.Rows, error) { return db.Query(ctx, sql, args...) })
}

// rows release their connection at their end.
type rows struct {
	pgx.Rows
	conn         *pgxpool.Conn
	peeked, more bool
}

// Next implements pgx.Rows.
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

// Close implements pgx.Rows.
func (r *rows) Close() {
	r.Rows.Close()
	r.conn.Release()
}

// row is a query for one row.
type row func() (pgx.Rows, error)

// Scan implements pgx.Row.
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
