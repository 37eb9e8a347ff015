package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

// benchRefuse compares the cost of rejecting a request with that of an answer of bare Gin, which
// is the lower limit of a rejection's cost.
func benchRefuse(ctx context.Context, g *group) section {
	_, setting := g.tokens()
	guarded := g.startOn(ctx, g.programs.users, onSQLite, setting)
	limited := g.startOn(ctx, g.programs.users, onSQLite, "RATE_LIMIT_READ=1/h")
	full, release := startFull(ctx, g)
	defer release()
	get := getRandom(usersPath, g.size.rows)
	// The first requests are answered, or wait for a slot for up to a second. So send a few until
	// all are rejected.
	refused := func(s side, server *server.Server, status int) side {
		s.prepare = func(ctx context.Context) error { return untilRefused(ctx, server.Address, status) }
		return s
	}
	sides := []side{
		g.ask(bareGin, g.peer(ctx, "BODY={}"), http.StatusOK, get),
		g.ask("401, without a token", guarded, http.StatusUnauthorized, get),
		refused(g.ask("429, too many requests", limited, http.StatusTooManyRequests, get), limited, http.StatusTooManyRequests),
		refused(g.ask("503, too many concurrent requests", full, http.StatusServiceUnavailable, get), full, http.StatusServiceUnavailable),
	}
	samples := g.alternate(ctx, g.size.rounds, sides)
	out := section{title: "Rejecting requests", body: fmt.Sprintf("GET of one user, %d connections.\n\n%s", connections, table(sides, samples))}
	for i, s := range sides[1:] {
		values := pairs(samples[i+1], samples[0], func(a, b sample) float64 { return a.cost / b.cost })
		out.figures = append(out.figures, figure{what: "CPU of a rejection ÷ CPU of a response of bare Gin: " + s.name, form: "%.2f", values: values, target: atMost(1.5, 1.3)})
	}
	return out
}

// startFull starts a user-service that allows one concurrent read, and sends one that waits for
// a locked table until release is called.
func startFull(ctx context.Context, g *group) (full *server.Server, release func()) {
	address := g.filled(ctx, onPostgres, "users", 1)
	full = g.start(ctx, g.programs.users, "DATABASE_URL="+address, "CONCURRENCY_LIMIT=1:1", "REQUEST_TIMEOUT=10m")
	if g.err != nil {
		return full, func() {}
	}
	conn, err := pgx.Connect(ctx, address)
	if g.failed(err) {
		return full, func() {}
	}
	_, err = conn.Exec(ctx, "BEGIN; LOCK TABLE user_service.users")
	g.failed(err)
	held := make(chan error, 1)
	go func() {
		_, _, err := send(ctx, http.MethodGet, "http://"+full.Address+usersPath+"/"+rowID(1), nil, http.StatusOK)
		held <- err
	}()
	return full, func() {
		g.failed(conn.Close(context.WithoutCancel(ctx))) // unlocks
		g.failed(<-held)
	}
}

// untilRefused sends groups of concurrent requests until a whole group gets a status.
func untilRefused(ctx context.Context, address string, status int) error {
	for {
		r, err := load.RunOpen(ctx, load.OpenPlan{
			Address: address, Connections: connections, Rate: connections / 0.002, For: 2 * time.Millisecond,
			Append: func(b []byte) []byte { return append(b, load.Get(usersPath+"/"+rowID(1))...) },
		})
		if err != nil || len(r.Latencies) == 1 && len(r.Latencies[status]) > 0 {
			return err
		}
	}
}
