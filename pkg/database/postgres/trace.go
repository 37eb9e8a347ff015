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

// answerCount counts successful queries and batches.
type answerCount struct{ atomic.Int64 }

// TraceQueryStart implements pgx.QueryTracer.
func (*answerCount) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (a *answerCount) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if data.Err == nil {
		a.Add(1)
	}
}

// TraceBatchStart implements pgx.BatchTracer.
func (*answerCount) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (*answerCount) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (a *answerCount) TraceBatchEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	if data.Err == nil {
		a.Add(1)
	}
}

// tracer creates spans for connecting, waiting for a connection, and queries. A query's
// span includes its preparation, which happens once per connection.
type tracer struct {
	*otelpgx.Tracer
	answers *answerCount
}

// TraceBatchStart implements pgx.BatchTracer. Batches belong to several requests, and to no
// trace (Joined).
func (t tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (t tracer) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	t.answers.TraceBatchEnd(ctx, conn, data)
}

func newTracer(a *answerCount) tracer {
	return tracer{otelpgx.NewTracer(otelpgx.WithSpanNameFunc(database.QueryName), otelpgx.WithDisableConnectionDetailsInAttributes()), a}
}

// TraceQueryStart implements pgx.QueryTracer. It does nothing without a recorded trace:
// otelpgx would measure for metrics that nobody reads.
func (t tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !telemetry.Recording(ctx) {
		return ctx
	}
	return t.Tracer.TraceQueryStart(ctx, conn, data)
}

// TraceQueryEnd implements pgx.QueryTracer. It records only the code of an error: its
// text may contain values.
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

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (t tracer) TraceAcquireStart(ctx context.Context, pool *pgxpool.Pool, data pgxpool.TraceAcquireStartData) context.Context {
	if !telemetry.Recording(ctx) {
		return ctx
	}
	return t.Tracer.TraceAcquireStart(ctx, pool, data)
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (t tracer) TraceAcquireEnd(ctx context.Context, pool *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	if telemetry.Recording(ctx) {
		t.Tracer.TraceAcquireEnd(ctx, pool, data)
	}
}

// TracePrepareStart implements pgx.PrepareTracer.
func (tracer) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	return ctx
}

// TracePrepareEnd implements pgx.PrepareTracer.
func (tracer) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}
