package main

import (
	"bytes"
	"context"
	"errors"
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

// benchBreaker measures what creating an order takes while user-service hangs:
// it takes connections and never answers, which is the slowest it can be.
func benchBreaker(ctx context.Context, l *lab) (_ section, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	users, err := g.users(ctx, onSQLite)
	if err != nil {
		return section{}, err
	}
	// Open for as long as this takes: a probe in between would wait for its
	// timeout.
	orders, err := g.orders(ctx, onSQLite, users, "USER_CLIENT_BREAKER_OPEN=10m")
	if err != nil {
		return section{}, err
	}
	known, err := createUsers(ctx, users.Address, connections)
	if err != nil {
		return section{}, err
	}
	err = users.Suspend()
	if err != nil {
		return section{}, err
	}
	defer func() { err = errors.Join(err, users.Signal(syscall.SIGCONT)) }()
	plan := postOrders(l, orders, known, http.StatusServiceUnavailable)
	err = openBreaker(ctx, plan, orders)
	if err != nil {
		return section{}, err
	}

	single := plan
	single.Connections = 1
	sides := []side{
		of("1 connection", single, cpuOf("order-service", orders), clientCPU),
		of(fmt.Sprintf("%d connections", connections), plan, cpuOf("order-service", orders), clientCPU),
	}
	samples, err := alternate(ctx, l.size.rounds, sides)
	if err != nil {
		return section{}, err
	}
	median := over(samples[1], percentile(50))
	body := "user-service is stopped with SIGSTOP: it takes connections and never answers. Every answer is a 503.\n\n" + table(sides, samples)
	for i, s := range sides {
		body += fmt.Sprintf("\n%s: p90 %s, p99.9 %s, slowest %s.\n", s.name, micros(over(samples[i], percentile(90)).median),
			micros(over(samples[i], percentile(99.9)).median), micros(over(samples[i], percentile(100)).high))
	}
	const limit = 5000 // microseconds
	return section{
		title: "Creating an order with the breaker open",
		findings: []finding{
			atMost(fmt.Sprintf("POST an order, breaker open, median latency at %d connections", connections), "%.2f ms", millis(median), limit/1000),
		},
		body: body,
	}, nil
}

// openBreaker sends requests until the breaker says that it has opened.
func openBreaker(ctx context.Context, plan load.Plan, orders *server.Server) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	plan.For = 0 // one request for each connection
	for {
		_, err := load.Run(ctx, plan)
		if err != nil {
			return err
		}
		metrics, err := fetch(ctx, "http://"+orders.Address+"/metrics")
		if err != nil {
			return err
		}
		if bytes.Contains(metrics, []byte(opened)) {
			return nil
		}
	}
}

// millis turns microseconds into milliseconds.
func millis(s spread) spread { return spread{s.low / 1000, s.median / 1000, s.high / 1000} }
