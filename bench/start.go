package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/example/microservices/bench/server"
)

// benchStart measures the time from the start of a process to its first 200
// from /health/ready.
func benchStart(ctx context.Context, g *group) section {
	users := g.startOn(ctx, g.programs.users, onSQLite) // order-service needs it to become ready
	programs := []struct {
		name, binary string
		fresh        bool
		times        []float64
		address      string
	}{
		{name: "user-service, new file", binary: g.programs.users, fresh: true},
		{name: "user-service, existing file", binary: g.programs.users},
		{name: "order-service, new file", binary: g.programs.orders, fresh: true},
		{name: "order-service, existing file", binary: g.programs.orders},
	}
	for round := range g.size.starts + 1 {
		for i := range programs {
			k := &programs[(i+round)%len(programs)]
			if k.fresh || k.address == "" {
				k.address = g.address(ctx, onSQLite)
			}
			took := g.timeStart(ctx, k.binary, "DATABASE_URL="+k.address, "USER_SERVICE_URL=http://"+users.Address)
			if round > 0 { // the first round creates the file, and warms up
				k.times = append(k.times, took)
			}
		}
	}
	out := section{title: "Start to ready", body: fmt.Sprintf("%d starts each, on SQLite, from the start of the process to its first 200 from `/health/ready`; user-service runs beside order-service.\n\n"+
		"| | fastest | median | p90 | slowest |\n|---|---|---|---|---|\n", g.size.starts)}
	var figures []figure
	for _, k := range programs {
		sorted := slices.Sorted(slices.Values(k.times))
		q := quartilesOf(k.times)
		out.body += fmt.Sprintf("| %s | %.0f ms | %.0f ms | %.0f ms | %.0f ms |\n", k.name, q.least, q.median, sorted[len(sorted)*9/10], q.most)
		figures = append(figures, figure{form: "%.0f", unit: " ms", values: k.times, target: atMost(100, 50)})
	}
	out.figures = append(out.figures, worst("Start to ready, slower service, new or existing database file", figures))
	return out
}

// timeStart starts a service once, and returns the milliseconds until it was ready.
func (g *group) timeStart(ctx context.Context, binary string, env ...string) float64 {
	if g.err != nil {
		return 0
	}
	s, err := server.Start(g.dir, binary, env...)
	if g.failed(err) {
		return 0
	}
	took, err := s.Ready(ctx)
	g.failed(errors.Join(err, s.Stop()))
	return took.Seconds() * 1000
}
