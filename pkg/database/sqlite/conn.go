package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
	"zombiezen.com/go/sqlite"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/telemetry"
)

// ErrNoRow means that One found no row.
var ErrNoRow = errors.New("there is no such row")

// Conn is a connection with its prepared statements. One goroutine uses it at a time.
type Conn struct {
	conn *sqlite.Conn
	// erases: the write erases data for good; see Erases.
	erases bool
	// intercept is called before each statement; see DB.Intercept.
	intercept atomic.Pointer[func(statement string) error]
}

// Intercept makes every statement call f first, on all connections except the
// migrations'. If f returns an error, the statement isn't run and returns it. Tests use
// it to simulate a failing disk or a crash.
func (db *DB) Intercept(f func(statement string) error) {
	db.writer.conn.intercept.Store(&f)
	for _, r := range db.readers.all {
		r.intercept.Store(&f)
	}
}

// Erases is called in a write. It makes sure that what it deletes or overwrites is soon in no
// file any more.
func (c *Conn) Erases() { c.erases = true }

// Row is a row of a result, valid until the next one. Columns are counted from 0.
type Row struct{ stmt *sqlite.Stmt }

// Text returns a text.
func (r Row) Text(column int) string { return r.stmt.ColumnText(column) }

// NullText returns a text, or nil for NULL.
func (r Row) NullText(column int) *string {
	if r.stmt.ColumnIsNull(column) {
		return nil
	}
	s := r.Text(column)
	return &s
}

// Int returns a whole number.
func (r Row) Int(column int) int64 { return r.stmt.ColumnInt64(column) }

// NullInt returns a whole number, or nil for NULL.
func (r Row) NullInt(column int) *int {
	if r.stmt.ColumnIsNull(column) {
		return nil
	}
	n := int(r.stmt.ColumnInt64(column))
	return &n
}

// Bytes returns a copy of a blob.
func (r Row) Bytes(column int) []byte {
	b := make([]byte, r.stmt.ColumnLen(column))
	r.stmt.ColumnBytes(column, b)
	return b
}

// NullTime returns an instant, or nil for NULL.
func (r Row) NullTime(column int) *time.Time {
	if r.stmt.ColumnIsNull(column) {
		return nil
	}
	t := r.Time(column)
	return &t
}

// UUID returns an id, which is stored as text.
func (r Row) UUID(column int) (uuid.UUID, error) { return uuid.Parse(r.stmt.ColumnText(column)) }

// Time returns an instant, which is stored in microseconds.
func (r Row) Time(column int) time.Time { return time.UnixMicro(r.stmt.ColumnInt64(column)).UTC() }

// Query calls row for each row of a query. values are its parameters: string, *string, int,
// int64, *int, []byte, uuid.UUID, time.Time or *time.Time; another type panics.
//
// Write LIMIT ?+0, not LIMIT ?: SQLite's planner looks at the value of a bare parameter, so
// that each execution would prepare the statement again, which takes as long as reading a
// page.
func (c *Conn) Query(ctx context.Context, query string, row func(Row) error, values ...any) error {
	if telemetry.Recording(ctx) { // the span has no values
		_, span := tracer.Start(ctx, database.QueryName(query), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(semconv.DBSystemNameSQLite))
		defer span.End()
		err := c.query(query, row, values)
		if err != nil {
			span.SetStatus(codes.Error, "")
		}
		return err
	}
	return c.query(query, row, values)
}

var tracer = otel.Tracer("github.com/example/microservices/pkg/database/sqlite")

func (c *Conn) query(query string, row func(Row) error, values []any) (err error) {
	if f := c.intercept.Load(); f != nil {
		err = (*f)(query)
		if err != nil {
			return err
		}
	}
	stmt, err := c.conn.Prepare(query)
	if err != nil {
		return err
	}
	done := false
	defer func() {
		if !done { // an unfinished statement would keep its snapshot
			_ = stmt.Reset() // returns the error of the last step again
		}
	}()
	for i, v := range values {
		bind(stmt, i+1, v)
	}
	for {
		found, err := stmt.Step()
		if err != nil || !found {
			done = err != nil // Step has reset it
			return err
		}
		err = row(Row{stmt})
		if err != nil {
			return err
		}
	}
}

// run runs a statement without parameters and results.
func (c *Conn) run(statement string) error {
	return c.query(statement, func(Row) error { return nil }, nil)
}

func bind(stmt *sqlite.Stmt, i int, value any) {
	switch v := value.(type) {
	case string:
		stmt.BindText(i, v)
	case *string:
		if v == nil {
			stmt.BindNull(i)
			return
		}
		stmt.BindText(i, *v)
	case int:
		stmt.BindInt64(i, int64(v))
	case int64:
		stmt.BindInt64(i, v)
	case *int:
		if v == nil {
			stmt.BindNull(i)
			return
		}
		stmt.BindInt64(i, int64(*v))
	case []byte:
		if v == nil {
			v = []byte{} // an empty blob, not NULL
		}
		stmt.BindBytes(i, v)
	case uuid.UUID:
		stmt.BindText(i, v.String())
	case time.Time:
		stmt.BindInt64(i, v.UnixMicro())
	case *time.Time:
		if v == nil {
			stmt.BindNull(i)
			return
		}
		stmt.BindInt64(i, v.UnixMicro())
	default:
		panic(fmt.Sprintf("sqlite: unsupported query argument of type %T", value))
	}
}

// Exec runs a statement, and returns how many rows it changed.
func (c *Conn) Exec(ctx context.Context, statement string, values ...any) (int, error) {
	err := c.Query(ctx, statement, func(Row) error { return nil }, values...)
	return c.conn.Changes(), err
}

// One returns the row of a query, or ErrNoRow.
func One[T any](ctx context.Context, db *DB, scan func(Row) (T, error), query string, values ...any) (found T, err error) {
	err = ErrNoRow
	failed := db.Read(ctx, func(c *Conn) error {
		return c.Query(ctx, query, func(r Row) error {
			found, err = scan(r)
			return err
		}, values...)
	})
	if failed != nil {
		return found, failed
	}
	return found, err
}

// All returns the rows of a query.
func All[T any](ctx context.Context, db *DB, scan func(Row) (T, error), query string, values ...any) (all []T, err error) {
	err = db.Read(ctx, func(c *Conn) error {
		return c.Query(ctx, query, func(r Row) error {
			one, err := scan(r)
			all = append(all, one)
			return err
		}, values...)
	})
	return all, err
}
