package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/bench/server"
)

// benchPost compares creating users with pgbench inserting the same rows, and with a simple
// implementation.
func benchPost(ctx context.Context, g *group) section {
	address := g.filled(ctx, onPostgres, "users", g.size.rows)
	service := g.start(ctx, g.programs.users, "DATABASE_URL="+address)
	embedded := g.startOn(ctx, g.programs.users, onSQLite)
	one := g.pgbench(ctx, address, insertUser)
	both := g.pgbench(ctx, address, insertUserOnce)
	const created = http.StatusCreated
	sides := []side{
		g.ask("user-service on PostgreSQL", service, created, postUsers()),
		{name: "pgbench inserting the row", meters: []meter{one.cpu(), g.databases[service]}, run: one.run},
		g.ask("user-service, with an Idempotency-Key", service, created, postUsersOnce()),
		{name: "pgbench inserting both rows", meters: []meter{both.cpu(), g.databases[service]}, run: both.run},
		g.ask(plainPeer, g.peer(ctx, "DATABASE_URL="+address), created, postUsers()),
		g.ask(fullPeer, g.peer(ctx, "DATABASE_URL="+address, "FEATURES=log,metrics"), created, postUsers()),
		g.ask("user-service on SQLite", embedded, created, postUsers()),
		g.ask("user-service on SQLite, with an Idempotency-Key", embedded, created, postUsersOnce()),
	}
	samples := g.alternate(ctx, g.size.rounds, sides)
	const post = "POST a user on PostgreSQL"
	return section{
		title: "POST a user",
		figures: []figure{
			over(post+" ÷ pgbench inserting the row", samples[0], samples[1], atLeast(0.7, 1)),
			over(post+" with a key ÷ pgbench inserting both rows", samples[2], samples[3], atLeast(0.6, 0.8)),
			over(post+" ÷ "+plainPeer, samples[0], samples[4], nil),
			over(post+" ÷ "+fullPeer, samples[0], samples[5], nil),
			{what: "POST a user on SQLite, per second", form: "%.0f", values: each(samples[6], rate)},
			{what: "POST a user on SQLite with a key, per second", form: "%.0f", values: each(samples[7], rate)},
		},
		body: fmt.Sprintf("%d connections, %d users at the start; PostgreSQL with fsync and synchronous_commit on, SQLite with synchronous=FULL.\n\n%s", connections, g.size.rows, table(sides, samples)),
	}
}

// postgresCPU reads the CPU time of all processes of the server at an address, on this machine.
func (l *lab) postgresCPU(ctx context.Context, address string) (meter, error) {
	if l.postgresMeter.read != nil {
		return l.postgresMeter, nil
	}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return meter{}, err
	}
	var backend int
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend)
	postmaster, notHere := server.Parent(backend)
	l.postgresMeter = meter{"PostgreSQL", func() (time.Duration, error) { return server.TreeCPU(postmaster) }}
	return l.postgresMeter, errors.Join(err, notHere, conn.Close(ctx))
}
