package postgres

import (
	"context"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/pkg/database"
)

// tracer makes spans of connecting, of waiting for a connection, and of queries.
// Preparing a query, which is done once for each connection, is a part of it.
type tracer struct{ *otelpgx.Tracer }

func newTracer() tracer {
	return tracer{otelpgx.NewTracer(otelpgx.WithSpanNameFunc(database.QueryName), otelpgx.WithDisableConnectionDetailsInAttributes())}
}

// TracePrepareStart is part of pgx.PrepareTracer.
func (tracer) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	return ctx
}

// TracePrepareEnd is part of pgx.PrepareTracer.
func (tracer) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}
