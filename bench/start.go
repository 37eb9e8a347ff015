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
func benchStart(ctx context.Context, l *lab) (_ section, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	users, err := g.users(ctx, onSQLite) // order-service is not ready without it
	if err != nil {
		return section{}, err
	}
	kinds := []struct {
		name, binary string
		fresh        bool
		times        []float64
		address      string
	}{
		{name: "user-service, new file", binary: l.programs.users, fresh: true},
		{name: "user-service, existing file", binary: l.programs.users},
		{name: "order-service, new file", binary: l.programs.orders, fresh: true},
		{name: "order-service, existing file", binary: l.programs.orders},
	}
	for round := range l.size.starts + 1 {
		for i := range kinds {
			k := &kinds[(i+round)%len(kinds)]
			if k.fresh || k.address == "" {
				k.address, err = l.address(ctx, onSQLite)
				if err != nil {
					return section{}, err
				}
			}
			took, err := timeStart(ctx, l, k.binary, "DATABASE_URL="+k.address, "USER_SERVICE_URL=http://"+users.Address)
			if err != nil {
				return section{}, err
			}
			if round > 0 { // the first one makes the file, and warms up
				k.times = append(k.times, took)
			}
		}
	}
	const limit = 100
	out := section{title: "Start to ready", body: fmt.Sprintf("%d starts each, on SQLite, from the start of the process to its first 200 from `/health/ready`; user-service runs beside order-service.\n\n"+
		"| | fastest | median | p90 | slowest |\n|---|---|---|---|---|\n", l.size.starts)}
	for _, k := range kinds {
		sorted := slices.Sorted(slices.Values(k.times))
		s := spreadOf(k.times)
		out.body += fmt.Sprintf("| %s | %.0f ms | %.0f ms | %.0f ms | %.0f ms |\n", k.name, s.low, s.median, sorted[len(sorted)*9/10], s.high)
		out.findings = append(out.findings, atMost("Start to ready, "+k.name, "%.0f ms", spreadOf(k.times), limit))
	}
	return out, nil
}

// timeStart starts a service once, and returns the milliseconds it took.
func timeStart(ctx context.Context, l *lab, binary string, env ...string) (_ float64, err error) {
	s, err := server.Start(l.dir, binary, env...)
	if err != nil {
		return 0, err
	}
	took, err := s.Ready(ctx)
	return took.Seconds() * 1000, errors.Join(err, s.Stop())
}
