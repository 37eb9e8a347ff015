package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

const (
	// openTimeout is how long the breaker may take to open.
	openTimeout = 30 * time.Second
	opened      = `user_client_breaker_transitions_total{from="closed",to="open"} 1`
)

// benchBreaker measures creating an order while user-service hangs: it accepts connections and
// never answers, which is the slowest failure.
func benchBreaker(ctx context.Context, g *group) section {
	users := g.startOn(ctx, g.programs.users, onSQLite)
	// Keep the breaker open during the measurement: a probe would wait for its timeout.
	orders := g.startOn(ctx, g.programs.orders, onSQLite, "USER_SERVICE_URL=http://"+users.Address, "USER_CLIENT_BREAKER_OPEN=10m")
	known := g.createUsers(ctx, users, connections)
	if g.err != nil || g.failed(users.Suspend()) {
		return section{}
	}
	defer func() { g.failed(users.Signal(syscall.SIGCONT)) }()
	plan := g.plan(orders, http.StatusServiceUnavailable, postOrders(func(connection int) string { return known[connection] }))
	openBreaker(ctx, g, plan, orders)

	single := plan
	single.Connections = 1
	sides := []side{
		g.carry("1 connection", orders, single),
		g.carry(fmt.Sprintf("%d connections", connections), orders, plan),
	}
	samples := g.alternate(ctx, g.size.rounds, sides)
	body := "user-service is stopped with SIGSTOP: it accepts connections and never responds. Every response of order-service is a 503.\n\n" + table(sides, samples)
	for i, s := range sides {
		q := func(p float64) quartiles { return quartilesOf(each(samples[i], percentile(p))) }
		body += fmt.Sprintf("\n%s: p90 %s, p99.9 %s, slowest %s.\n", s.name, micros(q(90).median), micros(q(99.9).median), micros(q(100).most))
	}
	median := each(samples[1], func(s sample) float64 { return s.Percentile(50).Seconds() * 1000 })
	return section{
		title:   "Creating an order with the breaker open",
		figures: []figure{{what: fmt.Sprintf("POST an order, breaker open, median latency at %d connections", connections), form: "%.2f", unit: " ms", values: median, target: atMost(5, 2)}},
		body:    body,
	}
}

// openBreaker sends requests until the metrics show that the breaker has opened.
func openBreaker(ctx context.Context, g *group, plan load.Plan, orders *server.Server) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	plan.For = 0 // one request per connection
	for g.err == nil {
		_, err := load.Run(ctx, plan)
		g.failed(err)
		_, metrics := g.fetch(ctx, orders, "/metrics")
		if bytes.Contains(metrics, []byte(opened)) {
			return
		}
	}
}
