package postgres

import (
	"context"
	"errors"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/example/microservices/pkg/database"
)

// tracer makes spans of connecting, of waiting for a connection, and of queries.
// Preparing a query, which is done once for each connection, is a part of it.
type tracer struct{ *otelpgx.Tracer }

func newTracer() tracer {
	return tracer{otelpgx.NewTracer(otelpgx.WithSpanNameFunc(database.QueryName), otelpgx.WithDisableConnectionDetailsInAttributes())}
}

// TraceQueryEnd is part of pgx.QueryTracer. Of an error only the code is kept: its
// text may have values in it.
func (t tracer) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	data.Err = withoutValues(data.Err)
	t.Tracer.TraceQueryEnd(ctx, conn, data)
}

var errQuery = errors.New("the query failed")

func withoutValues(err error) error {
	answered, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok:
		return &pgconn.PgError{Severity: answered.Severity, Code: answered.Code, Message: errQuery.Error()}
	case err == nil, errors.Is(err, pgx.ErrNoRows), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return errQuery
}

// TracePrepareStart is part of pgx.PrepareTracer.
func (tracer) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	return ctx
}

// TracePrepareEnd is part of pgx.PrepareTracer.
func (tracer) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}
