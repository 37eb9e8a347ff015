package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
)

// benchOrder measures what the lookup in user-service adds to creating an order.
func benchOrder(ctx context.Context, g *group) section {
	out := section{title: "Creating an order", body: fmt.Sprintf("%d connections, %d users.\n", connections, g.size.rows)}
	for _, kind := range kinds {
		figures, body := orderOn(ctx, g, kind)
		out.figures = append(out.figures, figures...)
		out.body += body
		g.stop()
	}
	return out
}

func orderOn(ctx context.Context, g *group, kind string) ([]figure, string) {
	users := g.start(ctx, g.programs.users, "DATABASE_URL="+g.filled(ctx, kind, "users", g.size.rows))
	anyone := func(int) string { return rowID(1 + rand.IntN(g.size.rows)) }
	few := func(connection int) string { return rowID(1 + connection) }
	var sides []side
	for _, s := range []struct {
		name, binary string
		user         func(int) string
		env          []string
	}{
		{"without the check", g.programs.unchecked, anyone, nil},
		{"user cached", g.programs.orders, few, nil},
		{"user not cached", g.programs.orders, anyone, []string{"USER_CLIENT_CACHE_TTL=0s"}},
	} {
		orders := g.startOn(ctx, s.binary, kind, append(s.env, "USER_SERVICE_URL=http://"+users.Address)...)
		sides = append(sides, g.ask(s.name, orders, http.StatusCreated, postOrders(s.user), cpuOf("user-service", users)))
	}
	samples := g.alternate(ctx, g.size.rounds, sides)
	return []figure{
		over(on("POST an order", kind)+", user cached ÷ without the check", samples[1], samples[0], atLeast(0.9, 0.95)),
		over(on("POST an order", kind)+", user not cached ÷ without the check", samples[2], samples[0], atLeast(0.65, 0.75)),
	}, fmt.Sprintf("\nOn %s:\n\n%s", kind, table(sides, samples))
}
