package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

// benchPost compares creating users with pgbench inserting the same rows.
func benchPost(ctx context.Context, l *lab) (_ section, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	var services []*server.Server
	var addresses []string
	for _, kind := range []string{onPostgres, onSQLite} {
		address, err := l.address(ctx, kind)
		if err != nil {
			return section{}, err
		}
		s, err := g.start(ctx, l.programs.users, "DATABASE_URL="+address)
		if err != nil {
			return section{}, err
		}
		services, addresses = append(services, s), append(addresses, address)
	}
	database, err := postgresCPU(ctx, addresses[0])
	if err != nil {
		return section{}, err
	}
	p, err := newPgbench(ctx, l, addresses[0])
	if err != nil {
		return section{}, err
	}
	sides := []side{
		of("user-service on PostgreSQL", postUsers(l, services[0]), cpuOf("service", services[0]), database, clientCPU),
		{"pgbench", []meter{p.cpu(), database}, p.run},
	}
	samples, err := alternate(ctx, l.size.rounds, sides)
	if err != nil {
		return section{}, err
	}
	body := table(sides, samples)
	alone := []side{of("user-service on SQLite", postUsers(l, services[1]), cpuOf("service", services[1]), clientCPU)}
	embedded, err := alternate(ctx, l.size.rounds, alone)
	if err != nil {
		return section{}, err
	}
	sqliteRate := over(embedded[0], rate)
	return section{
		title: "POST a user",
		findings: []finding{
			atLeast("POST a user on PostgreSQL ÷ pgbench inserting the row, throughput", ratio(samples[0], samples[1], rate), 0.6),
			{what: "POST a user on SQLite, per second", target: "–", value: fmt.Sprintf("%.0f", sqliteRate.median), spread: fmt.Sprintf("%.0f–%.0f", sqliteRate.low, sqliteRate.high)},
		},
		body: fmt.Sprintf("%d connections; PostgreSQL with fsync and synchronous_commit on, SQLite with synchronous=FULL.\n\n%s\n%s", connections, body, table(alone, embedded)),
	}, nil
}

func postUsers(l *lab, s *server.Server) load.Plan {
	var body []byte
	return load.Plan{
		Address: s.Address, Connections: connections, For: l.size.span, Status: http.StatusCreated,
		Append: func(b []byte, _ int) []byte {
			body = appendUser(body[:0])
			return load.AppendPost(b, usersPath, body)
		},
	}
}

// postgresCPU reads the time of all processes of the server at an address,
// which is on this machine.
func postgresCPU(ctx context.Context, address string) (meter, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return meter{}, errors.New("not a URL")
	}
	if host := parsed.Hostname(); host != "127.0.0.1" && host != "localhost" {
		return meter{}, fmt.Errorf("PostgreSQL on %s: it must be on this machine to be measured", host)
	}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return meter{}, err
	}
	var backend int
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend)
	if err != nil {
		return meter{}, errors.Join(err, conn.Close(ctx))
	}
	postmaster, err := server.Parent(backend)
	read := func() (time.Duration, error) { return server.TreeCPU(postmaster) }
	return meter{"PostgreSQL", read}, errors.Join(err, conn.Close(ctx))
}
