package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

const ordersPath = "/api/v1/orders"

// appendOrder appends an order of two items, as it is posted.
func appendOrder(b []byte, user string) []byte {
	return fmt.Appendf(b, `{"user_id":%q,"shipping_address":"12 St James's Square, London","items":[`+
		`{"product_id":"laptop-15","product_name":"Laptop 15","quantity":1,"price":999.99},`+
		`{"product_id":"mouse-2","product_name":"Mouse","quantity":2,"price":19.90}]}`, user)
}

// benchOrders tells what looking at user-service adds to creating an order.
func benchOrders(ctx context.Context, l *lab) (section, error) {
	out := section{title: "Creating an order"}
	for _, kind := range []string{onSQLite, onPostgres} {
		findings, body, err := ordersOn(ctx, l, kind)
		if err != nil {
			return section{}, err
		}
		out.findings = append(out.findings, findings...)
		out.body += fmt.Sprintf("%s, %d connections, each with a user of its own:\n\n%s\n", kind, connections, body)
	}
	return out, nil
}

func ordersOn(ctx context.Context, l *lab, kind string) (_ []finding, _ string, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	users, err := g.users(ctx, kind)
	if err != nil {
		return nil, "", err
	}
	// A user for each connection: what several ask at once is asked once.
	known, err := createUsers(ctx, users.Address, connections)
	if err != nil {
		return nil, "", err
	}
	var sides []side
	for _, s := range []struct {
		name, binary string
		env          []string
	}{
		{"without the check", l.programs.unchecked, nil},
		{"user cached", l.programs.orders, nil},
		{"user not cached", l.programs.orders, []string{"USER_CLIENT_CACHE_TTL=0s"}},
	} {
		orders, err := g.startOn(ctx, s.binary, kind, append(s.env, "USER_SERVICE_URL=http://"+users.Address)...)
		if err != nil {
			return nil, "", err
		}
		sides = append(sides, of(s.name, postOrders(l, orders, known, http.StatusCreated), cpuOf("order-service", orders), cpuOf("user-service", users), clientCPU))
	}
	samples, err := alternate(ctx, l.size.rounds, sides)
	if err != nil {
		return nil, "", err
	}
	return []finding{
		atLeast(on("POST an order", kind)+", user cached ÷ without the check, throughput", ratio(samples[1], samples[0], rate), 0.9),
		atLeast(on("POST an order", kind)+", user not cached ÷ without the check, throughput", ratio(samples[2], samples[0], rate), 0.5),
	}, table(sides, samples), nil
}

func postOrders(l *lab, s *server.Server, users []string, status int) load.Plan {
	requests := make([][]byte, len(users))
	for i, user := range users {
		requests[i] = load.AppendPost(nil, ordersPath, appendOrder(nil, user))
	}
	return load.Plan{
		Address: s.Address, Connections: connections, For: l.size.span, Status: status,
		Append: func(b []byte, i int) []byte { return append(b, requests[i%len(requests)]...) },
	}
}
