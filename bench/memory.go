package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

// benchMemory reads what the services occupy when nobody asks anything of
// them, and what under load.
func benchMemory(ctx context.Context, l *lab) (section, error) {
	out := section{title: "Memory", body: fmt.Sprintf("Idle: %s after the start. Under load: the peak over reads and writes at %d connections. Anonymous is the part that is no file's: the binary's own pages are shared and can be dropped.\n\n"+
		"| | idle | of it anonymous | peak under load | after it |\n|---|---|---|---|---|\n", l.size.idle, connections)}
	for _, kind := range []string{onSQLite, onPostgres} {
		findings, rows, err := memoryOn(ctx, l, kind)
		if err != nil {
			return section{}, err
		}
		out.findings = append(out.findings, findings...)
		out.body += rows
	}
	return out, nil
}

func memoryOn(ctx context.Context, l *lab, kind string) (_ []finding, _ string, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	users, err := g.users(ctx, kind)
	if err != nil {
		return nil, "", err
	}
	orders, err := g.orders(ctx, kind, users)
	if err != nil {
		return nil, "", err
	}
	err = wait(ctx, l.size.idle)
	if err != nil {
		return nil, "", err
	}
	names, servers := []string{"user-service", "order-service"}, []*server.Server{users, orders}
	idle := make([]server.Memory, len(servers))
	for i, s := range servers {
		idle[i], err = server.ReadMemory(s.PID)
		if err != nil {
			return nil, "", err
		}
	}
	known, err := createUsers(ctx, users.Address, connections)
	if err != nil {
		return nil, "", err
	}
	list := load.Get(usersPath + "?limit=100")
	for _, plan := range []load.Plan{
		postUsers(l, users),
		{Address: users.Address, Connections: connections, For: l.size.span, Status: http.StatusOK, Append: func(b []byte, _ int) []byte { return append(b, list...) }},
		postOrders(l, orders, known, http.StatusCreated),
	} {
		_, err := load.Run(ctx, plan)
		if err != nil {
			return nil, "", err
		}
	}
	var findings []finding
	var rows string
	const limit = 32
	for i, s := range servers {
		after, err := server.ReadMemory(s.PID)
		if err != nil {
			return nil, "", err
		}
		name := on(names[i], kind)
		findings = append(findings, atMost("Idle memory, "+name, "%.1f MiB", spreadOf([]float64{mib(idle[i].Resident)}), limit))
		rows += fmt.Sprintf("| %s | %.1f MiB | %.1f MiB | %.1f MiB | %.1f MiB |\n", name, mib(idle[i].Resident), mib(idle[i].Anonymous), mib(after.Peak), mib(after.Resident))
	}
	return findings, rows, nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
