package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

// benchMemory measures the services' memory while idle and under load.
func benchMemory(ctx context.Context, g *group) section {
	out := section{title: "Memory", body: fmt.Sprintf("Idle: %s after the start. Under load: the peak over reads and writes at %d connections. Anonymous memory belongs to no file: the binary's own pages are shared and can be dropped.\n\n"+
		"| | idle | of it anonymous | peak under load | after it |\n|---|---|---|---|---|\n", g.size.idle, connections)}
	var figures []figure
	for _, kind := range kinds {
		idle, rows := memoryOn(ctx, g, kind)
		figures = append(figures, idle...)
		out.body += rows
	}
	out.figures = append(out.figures, worst("Idle memory, larger service, on either database", figures))
	return out
}

func memoryOn(ctx context.Context, g *group, kind string) (figures []figure, rows string) {
	users := g.startOn(ctx, g.programs.users, kind)
	orders := g.startOn(ctx, g.programs.orders, kind, "USER_SERVICE_URL=http://"+users.Address)
	g.failed(wait(ctx, g.size.idle))
	names, servers := []string{"user-service", "order-service"}, []*server.Server{users, orders}
	idle := []server.Memory{g.memory(users), g.memory(orders)}
	known := g.createUsers(ctx, users, connections)
	for _, plan := range []load.Plan{
		g.plan(users, http.StatusCreated, postUsers()),
		g.plan(users, http.StatusOK, always(load.Get(usersPath+"?limit=100"))),
		g.plan(orders, http.StatusCreated, postOrders(func(connection int) string { return known[connection] })),
	} {
		if g.err == nil {
			_, err := load.Run(ctx, plan)
			g.failed(err)
		}
	}
	for i, s := range servers {
		after := g.memory(s)
		figures = append(figures, single("", "%.1f", " MiB", mib(idle[i].Resident), atMost(32, 28)))
		rows += fmt.Sprintf("| %s | %.1f MiB | %.1f MiB | %.1f MiB | %.1f MiB |\n", on(names[i], kind), mib(idle[i].Resident), mib(idle[i].Anonymous), mib(after.Peak), mib(after.Resident))
	}
	g.stop()
	return figures, rows
}

func (g *group) memory(s *server.Server) server.Memory {
	m, err := server.ReadMemory(s.PID)
	g.failed(err)
	return m
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
