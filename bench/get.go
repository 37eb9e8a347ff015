package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// The names of the peers in the tables.
const (
	bareGin   = "bare Gin"
	equalGin  = "Gin with headers, timeouts and a log line"
	plainPeer = "plain Gin and pgx"
	fullPeer  = "the same with logs and metrics"
)

// benchGet compares reading one of many users or orders with the least that Gin can do, and with
// a simple implementation on PostgreSQL.
func benchGet(ctx context.Context, g *group) section {
	out := section{title: "GET one user, or one order", body: fmt.Sprintf("%d connections; random ids, of %d rows.\n", connections, g.size.rows)}
	for _, what := range []string{"user", "order"} {
		figures, body := getOne(ctx, g, what)
		out.figures = append(out.figures, figures...)
		out.body += body
		g.stop()
	}
	return out
}

func getOne(ctx context.Context, g *group, what string) ([]figure, string) {
	path, binary := "/api/v1/"+what+"s", g.programs.users
	if what == "order" {
		binary = g.programs.orders
	}
	embedded := "DATABASE_URL=" + g.filled(ctx, onSQLite, what+"s", g.size.rows)
	postgres := "DATABASE_URL=" + g.filled(ctx, onPostgres, what+"s", g.size.rows)
	onEmbedded := g.start(ctx, binary, append(withoutUsers, embedded)...)
	headers, body := g.fetch(ctx, onEmbedded, path+"/"+rowID(1))
	get := getRandom(path, g.size.rows)
	sides := []side{
		g.ask(bareGin, g.peer(ctx, "BODY="+string(body)), http.StatusOK, get),
		g.ask(equalGin, g.peer(ctx, "BODY="+string(body), "FEATURES=limits,log", "HEADERS="+sameHeaders(headers)), http.StatusOK, get),
		g.ask(on(what+"-service", onSQLite), onEmbedded, http.StatusOK, get),
		g.ask(on(what+"-service", onPostgres), g.start(ctx, binary, append(withoutUsers, postgres)...), http.StatusOK, get),
	}
	if what == "user" {
		headers, setting := g.tokens()
		sides = append(sides,
			g.ask(plainPeer, g.peer(ctx, postgres), http.StatusOK, get),
			g.ask(fullPeer, g.peer(ctx, postgres, "FEATURES=log,metrics"), http.StatusOK, get),
			g.ask("user-service on SQLite, with tokens", g.start(ctx, binary, embedded, setting), http.StatusOK, getRandom(path, g.size.rows, headers...)),
		)
	}
	samples := g.alternate(ctx, g.size.rounds, sides)
	get1 := "GET one " + what
	figures := []figure{
		over(on(get1, onSQLite)+" ÷ "+bareGin, samples[2], samples[0], atLeast(0.6, 0.75)),
		over(on(get1, onPostgres)+" ÷ "+bareGin, samples[3], samples[0], atLeast(0.35, 0.45)),
		over(on(get1, onSQLite)+" ÷ "+equalGin, samples[2], samples[1], nil),
		over(on(get1, onPostgres)+" ÷ "+equalGin, samples[3], samples[1], nil),
	}
	if what == "user" {
		figures = append(figures,
			over(on(get1, onPostgres)+" ÷ "+plainPeer, samples[3], samples[4], nil),
			over(on(get1, onPostgres)+" ÷ "+fullPeer, samples[3], samples[5], nil),
			over(on(get1, onSQLite)+", with a token ÷ open", samples[6], samples[2], atLeast(0.85, 0.95)),
		)
	}
	return figures, fmt.Sprintf("\nOne %s, %d bytes of body:\n\n%s", what, len(body), table(sides, samples))
}

// sameHeaders returns the headers of an answer that a peer must send, too, except those that
// net/http and the peer's log add.
func sameHeaders(headers http.Header) string {
	same := map[string]string{}
	for name := range headers {
		switch name {
		case "Date", "Content-Length", "Content-Type", "X-Request-Id":
		default:
			same[name] = headers.Get(name)
		}
	}
	text, err := json.Marshal(same)
	if err != nil {
		panic(err) // they are strings
	}
	return string(text)
}
