package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/page"
)

// list is a list whose first and last pages are compared.
type list struct {
	name, path, query string
	// rows is the table with the condition of the query.
	rows string
}

// benchPages compares the last page of long lists with the first.
func benchPages(ctx context.Context, g *group) section { return pagesOf(ctx, g, g.size.long) }

// benchDeep does the same with longer lists.
func benchDeep(ctx context.Context, g *group) section { return pagesOf(ctx, g, g.size.deep) }

func pagesOf(ctx context.Context, g *group, rows int) section {
	out := section{title: fmt.Sprintf("The last page of %d rows", rows), body: fmt.Sprintf("%d rows, pages of %d, 1 connection.\n", rows, page.DefaultLimit)}
	lists := map[string][]list{
		"users": {{name: "users", path: usersPath}},
		"orders": {
			{name: "orders", path: ordersPath},
			{name: "orders of a user", path: ordersPath, query: "&user_id=" + manyOrders, rows: " WHERE user_id = '" + manyOrders + "'"},
			{name: "orders in a status", path: ordersPath, query: "&status=shipped", rows: " WHERE status = 'shipped'"},
			{name: "orders of a user in a status", path: ordersPath, query: "&user_id=" + manyOrders + "&status=shipped", rows: " WHERE user_id = '" + manyOrders + "' AND status = 'shipped'"},
		},
	}
	for _, kind := range kinds {
		var figures []figure
		for _, what := range []string{"users", "orders"} {
			found, body := pagesOn(ctx, g, kind, what, rows, lists[what])
			figures = append(figures, found...)
			out.body += body
		}
		out.figures = append(out.figures, worst(fmt.Sprintf("Last ÷ first page of %d rows on %s, median latency, worst of %d lists", rows, kind, len(figures)), figures))
	}
	return out
}

func pagesOn(ctx context.Context, g *group, kind, rowsOf string, rows int, lists []list) (figures []figure, body string) {
	address := g.filled(ctx, kind, rowsOf, rows)
	db, err := openData(kind, address)
	g.failed(err)
	binary, d := g.programs.users, usersData[kind]
	if rowsOf == "orders" {
		binary, d = g.programs.orders, ordersData[kind]
	}
	// A list doesn't need user-service.
	s := g.start(ctx, binary, append(withoutUsers, "DATABASE_URL="+address)...)
	for _, what := range lists {
		last := g.lastCursor(ctx, db, d.table+what.rows)
		path := fmt.Sprintf("%s?limit=%d%s", what.path, page.DefaultLimit, what.query)
		g.checkLast(ctx, s, path+"&cursor="+last)
		ask := func(name, path string) side {
			plan := g.plan(s, http.StatusOK, always(load.Get(path)))
			plan.Connections, plan.For = 1, g.size.span/4
			return g.carry(name, s, plan)
		}
		sides := []side{ask("first page", path), ask("last page", path+"&cursor="+last)}
		samples := g.alternate(ctx, g.size.rounds, sides)
		p50 := percentile(50)
		figures = append(figures, figure{
			form: "%.2f", target: atMost(1.2, 1.1),
			values: pairs(samples[1], samples[0], func(a, b sample) float64 { return p50(a) / p50(b) }),
			cpu:    pairs(samples[1], samples[0], func(a, b sample) float64 { return a.cost / b.cost }),
		})
		body += fmt.Sprintf("\n%s:\n\n%s", on(what.name, kind), table(sides, samples))
	}
	g.stop()
	g.failed(db.Close())
	if kind == onSQLite { // it may be gigabytes
		g.failed(os.RemoveAll(filepath.Dir(database.SQLitePath(address))))
	}
	return figures, body
}

// withoutUsers are the settings of an order-service without a user-service.
var withoutUsers = []string{"USER_SERVICE_URL=http://127.0.0.1:1", "READINESS_USER_SERVICE=degraded"}

// lastCursor returns the cursor of the last full page of the rows.
func (g *group) lastCursor(ctx context.Context, db *sql.DB, rows string) string {
	var before uuid.UUID
	if g.err == nil {
		query := fmt.Sprintf("SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d", rows, page.DefaultLimit)
		g.failed(db.QueryRowContext(ctx, query).Scan(&before))
	}
	return page.Request{Before: before}.Cursor()
}

// checkLast checks that a page is the last one, and full.
func (g *group) checkLast(ctx context.Context, s *server.Server, path string) {
	_, body := g.fetch(ctx, s, path)
	var answer struct {
		Items []json.RawMessage `json:"items"`
		Next  *string           `json:"next_cursor"`
	}
	err := json.Unmarshal(body, &answer)
	if err != nil || len(answer.Items) != page.DefaultLimit || answer.Next != nil {
		g.failed(fmt.Errorf("%s is not the last page: %d items (%w)", path, len(answer.Items), err))
	}
}
