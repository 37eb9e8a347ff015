package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/telemetry"
)

// open opens a file whose queries are traced, where anything is.
func open(dsn string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn) // which opens nothing yet
	if err != nil || !telemetry.Tracing() {
		return db, err
	}
	d := db.Driver()
	err = db.Close()
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector{d, dsn}), nil
}

// connector opens connections whose queries are traced.
type connector struct {
	driver driver.Driver
	dsn    string
}

// Driver is part of driver.Connector.
func (c connector) Driver() driver.Driver { return c.driver }

// Connect is part of driver.Connector.
func (c connector) Connect(context.Context) (driver.Conn, error) {
	opened, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	known, can := opened.(conn)
	if !can {
		return nil, fmt.Errorf("connections of %T can't be traced", c.driver)
	}
	return tracedConn{known}, nil
}

// conn and stmt are what the driver's connections and statements can do.
type (
	conn interface {
		driver.Conn
		driver.ConnBeginTx
		driver.ConnPrepareContext
		driver.ExecerContext
		driver.Pinger
		driver.QueryerContext
		driver.SessionResetter
		driver.Validator
	}
	stmt interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
)

type tracedConn struct{ conn }

// PrepareContext is part of driver.ConnPrepareContext.
func (c tracedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	prepared, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	known, can := prepared.(stmt)
	if !can {
		return prepared, nil
	}
	return tracedStmt{known, database.QueryName(query)}, nil
}

// ExecContext is part of driver.ExecerContext.
func (c tracedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return traced(ctx, database.QueryName(query), func(ctx context.Context) (driver.Result, error) { return c.conn.ExecContext(ctx, query, args) })
}

// QueryContext is part of driver.QueryerContext.
func (c tracedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return traced(ctx, database.QueryName(query), func(ctx context.Context) (driver.Rows, error) { return c.conn.QueryContext(ctx, query, args) })
}

type tracedStmt struct {
	stmt
	name string
}

// ExecContext is part of driver.StmtExecContext.
func (s tracedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return traced(ctx, s.name, func(ctx context.Context) (driver.Result, error) { return s.stmt.ExecContext(ctx, args) })
}

// QueryContext is part of driver.StmtQueryContext.
func (s tracedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return traced(ctx, s.name, func(ctx context.Context) (driver.Rows, error) { return s.stmt.QueryContext(ctx, args) })
}

var tracer = otel.Tracer("github.com/example/microservices/pkg/database/sqlite")

// traced does something as a span of the trace that is being kept, if one is. Of
// the values there is nothing in it.
func traced[T any](ctx context.Context, name string, do func(context.Context) (T, error)) (T, error) {
	if !telemetry.Recording(ctx) {
		return do(ctx)
	}
	ctx, span := tracer.Start(ctx, name,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(semconv.DBSystemNameSQLite))
	defer span.End()
	result, err := do(ctx)
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	return result, err
}
