package postgres

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/telemetry"
)

// answerCount counts the queries that the database did. (Batches and copies, which
// nobody makes here, are others of pgx's tracers.)
type answerCount struct{ atomic.Int64 }

// TraceQueryStart is part of pgx.QueryTracer.
func (*answerCount) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd is part of pgx.QueryTracer.
func (a *answerCount) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if data.Err == nil {
		a.Add(1)
	}
}

// tracer makes spans of connecting, of waiting for a connection, and of queries.
// Preparing a query, which is done once for each connection, is a part of it.
type tracer struct {
	*otelpgx.Tracer
	answers *answerCount
}

func newTracer(a *answerCount) tracer {
	return tracer{otelpgx.NewTracer(otelpgx.WithSpanNameFunc(database.QueryName), otelpgx.WithDisableConnectionDetailsInAttributes()), a}
}

// TraceQueryStart is part of pgx.QueryTracer. Where no trace is kept, nothing is
// noted: otelpgx would keep the time for metrics that nobody reads.
func (t tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !telemetry.Recording(ctx) {
		return ctx
	}
	return t.Tracer.TraceQueryStart(ctx, conn, data)
}

// TraceQueryEnd is part of pgx.QueryTracer. Of an error only the code is kept: its
// text may have values in it.
func (t tracer) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	t.answers.TraceQueryEnd(ctx, conn, data)
	if !telemetry.Recording(ctx) {
		return
	}
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

// TraceAcquireStart is part of pgxpool.AcquireTracer.
func (t tracer) TraceAcquireStart(ctx context.Context, pool *pgxpool.Pool, data pgxpool.TraceAcquireStartData) context.Context {
	if !telemetry.Recording(ctx) {
		return ctx
	}
	return t.Tracer.TraceAcquireStart(ctx, pool, data)
}

// TraceAcquireEnd is part of pgxpool.AcquireTracer.
func (t tracer) TraceAcquireEnd(ctx context.Context, pool *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	if telemetry.Recording(ctx) {
		t.Tracer.TraceAcquireEnd(ctx, pool, data)
	}
}

// TracePrepareStart is part of pgx.PrepareTracer.
func (tracer) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	return ctx
}

// TracePrepareEnd is part of pgx.PrepareTracer.
func (tracer) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}
