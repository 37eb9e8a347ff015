package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
	"github.com/example/microservices/pkg/page"
)

// list is a list whose first and last page are compared.
type list struct {
	name, path, query string
	// rows is the table that is read, with the condition that the query means.
	rows string
}

// benchPages compares the last page of long lists with the first.
func benchPages(ctx context.Context, l *lab) (section, error) {
	out := section{title: "The last page of a list", body: fmt.Sprintf("%d rows, pages of %d, 1 connection.\n", l.size.rows, page.DefaultLimit)}
	users := list{name: "users", path: usersPath}
	all := []list{
		{name: "orders", path: ordersPath},
		{name: "orders of a user", path: ordersPath, query: "&user_id=" + manyOrders, rows: " WHERE user_id = '" + manyOrders + "'"},
		{name: "orders in a status", path: ordersPath, query: "&status=shipped", rows: " WHERE status = 'shipped'"},
		{name: "orders of a user in a status", path: ordersPath, query: "&user_id=" + manyOrders + "&status=shipped", rows: " WHERE user_id = '" + manyOrders + "' AND status = 'shipped'"},
	}
	for _, kind := range []string{onSQLite, onPostgres} {
		for _, set := range []struct {
			binary string
			data   data
			lists  []list
		}{
			{l.programs.users, usersData[kind], []list{users}},
			{l.programs.orders, ordersData[kind], all},
		} {
			findings, body, err := pagesOf(ctx, l, kind, set.binary, set.data, set.lists)
			if err != nil {
				return section{}, fmt.Errorf("%s: %w", kind, err)
			}
			out.findings = append(out.findings, findings...)
			out.body += body
		}
	}
	return out, nil
}

func pagesOf(ctx context.Context, l *lab, kind, binary string, d data, lists []list) (_ []finding, _ string, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	address, err := l.address(ctx, kind)
	if err != nil {
		return nil, "", err
	}
	env := []string{"DATABASE_URL=" + address}
	err = server.Run(ctx, l.dir, binary, []string{"migrate"}, env...)
	if err != nil {
		return nil, "", err
	}
	db, err := openData(kind, address)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = d.load(ctx, db, l.size.rows)
	if err != nil {
		return nil, "", err
	}
	// A list asks nothing of user-service.
	s, err := g.start(ctx, binary, append(env, withoutUsers...)...)
	if err != nil {
		return nil, "", err
	}
	const limit = 1.2
	var findings []finding
	var body string
	for _, what := range lists {
		last, err := lastCursor(ctx, db, d.table+what.rows)
		if err != nil {
			return nil, "", err
		}
		path := fmt.Sprintf("%s?limit=%d%s", what.path, page.DefaultLimit, what.query)
		sides := []side{
			of("first page", pagePlan(l, s, path), cpuOf("service", s)),
			of("last page", pagePlan(l, s, path+"&cursor="+last), cpuOf("service", s)),
		}
		err = checkLast(ctx, "http://"+s.Address+path+"&cursor="+last)
		if err != nil {
			return nil, "", err
		}
		samples, err := alternate(ctx, l.size.rounds, sides)
		if err != nil {
			return nil, "", err
		}
		findings = append(findings, atMost(on("Last ÷ first page of "+what.name, kind)+", median latency", "%.2f", ratio(samples[1], samples[0], percentile(50)), limit))
		body += fmt.Sprintf("\n%s:\n\n%s", on(what.name, kind), table(sides, samples))
	}
	return findings, body, nil
}

// withoutUsers is the setting of an order-service that has no user-service.
var withoutUsers = []string{"USER_SERVICE_URL=http://127.0.0.1:1", "READINESS_USER_SERVICE=degraded"}

func pagePlan(l *lab, s *server.Server, path string) load.Plan {
	request := load.Get(path)
	return load.Plan{
		Address: s.Address, Connections: 1, For: l.size.span / 3, Status: http.StatusOK,
		Append: func(b []byte, _ int) []byte { return append(b, request...) },
	}
}

// lastCursor returns the cursor of the last full page of the rows.
func lastCursor(ctx context.Context, db *sql.DB, rows string) (string, error) {
	var before uuid.UUID
	query := fmt.Sprintf("SELECT id FROM %s ORDER BY id LIMIT 1 OFFSET %d", rows, page.DefaultLimit)
	err := db.QueryRowContext(ctx, query).Scan(&before)
	if err != nil {
		return "", fmt.Errorf("find the last page: %w", err)
	}
	return page.Request{Before: before}.Cursor(), nil
}

// checkLast makes sure that a page is the last, and full.
func checkLast(ctx context.Context, url string) error {
	body, err := fetch(ctx, url)
	if err != nil {
		return err
	}
	var answer struct {
		Items []json.RawMessage `json:"items"`
		Next  *string           `json:"next_cursor"`
	}
	err = json.Unmarshal(body, &answer)
	if err != nil {
		return err
	}
	if len(answer.Items) != page.DefaultLimit || answer.Next != nil {
		return fmt.Errorf("%s is not the last page: %d items", url, len(answer.Items))
	}
	return nil
}
