package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"github.com/example/microservices/bench/server"
	"github.com/example/microservices/pkg/database"
)

// data is the rows of a table.
type data struct {
	// table is the table's name.
	table string
	// fill inserts the rows from one number to another, and settle are the statements after it.
	fill   string
	settle []string
}

// manyOrders is the user who has nine in ten orders.
const manyOrders = firstID + "000000000001"

// The database itself generates the rows, which is the fastest way. Their ids ascend, like
// those of the services.
var (
	usersData = map[string]data{
		onSQLite: {"users", `
WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO users (id, name, email, email_key, age, version, created_at, updated_at)
SELECT printf('01920000-0000-7000-8000-%%012x', i), 'Ada Lovelace', 'ada' || i || '@example.com', 'ada' || i || '@example.com',
  i %% 100, 1, 1727740800000000 + i, 1727740800000000 + i
FROM n`, sqliteSettled},
		onPostgres: {"user_service.users", `
INSERT INTO user_service.users (id, name, email, email_key, age, version, created_at, updated_at)
SELECT ('01920000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'Ada Lovelace', 'ada' || i || '@example.com', 'ada' || i || '@example.com',
  i %% 100, 1, now(), now()
FROM generate_series(%d, %d) AS i`, []string{"VACUUM ANALYZE user_service.users", "CHECKPOINT"}},
	}
	ordersData = map[string]data{
		onSQLite: {"orders", `
WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at)
SELECT printf('01920000-0000-7000-8000-%%012x', i), ` + someUser + `,
  '[{"product_id":"p1","product_name":"Laptop","quantity":1,"price":999.99}]', '12 St James''s Square, London', ` + someStatus + `,
  99999, 1, 1727740800000000 + i, 1727740800000000 + i
FROM n`, sqliteSettled},
		onPostgres: {"order_service.orders", `
INSERT INTO order_service.orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at)
SELECT ('01920000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, (` + someUser + `)::uuid,
  '[{"product_id":"p1","product_name":"Laptop","quantity":1,"price":999.99}]', '12 St James''s Square, London', ` + someStatus + `,
  999.99, 1, now(), now()
FROM generate_series(%d, %d) AS i`, []string{"VACUUM ANALYZE order_service.orders", "CHECKPOINT"}},
	}
)

const (
	someUser   = `CASE WHEN i %% 10 = 0 THEN '01920000-0000-7000-8000-000000000002' ELSE '` + manyOrders + `' END`
	someStatus = `CASE (i / 10) %% 3 WHEN 0 THEN 'pending' WHEN 1 THEN 'shipped' ELSE 'delivered' END`
)

var sqliteSettled = []string{"PRAGMA wal_checkpoint(TRUNCATE)"}

// atOnce is the number of rows per transaction, which SQLite's WAL must hold.
const atOnce = 1_000_000

// filled creates a database of a kind for user-service or order-service with a number of rows,
// and returns its address.
func (g *group) filled(ctx context.Context, kind, what string, rows int) string {
	address := g.address(ctx, kind)
	if g.err != nil {
		return ""
	}
	binary, d := g.programs.users, usersData[kind]
	if what == "orders" {
		binary, d = g.programs.orders, ordersData[kind]
	}
	if g.failed(server.Run(ctx, g.dir, binary, []string{"migrate"}, "DATABASE_URL="+address)) {
		return ""
	}
	db, err := openData(kind, address)
	if !g.failed(err) {
		g.failed(errors.Join(d.load(ctx, db, rows), db.Close()))
	}
	return address
}

func openData(kind, address string) (*sql.DB, error) {
	if kind == onPostgres {
		parsed, err := url.Parse(address)
		if err != nil {
			return nil, errors.New("not a URL")
		}
		query := parsed.Query()
		query.Set("transfer.copying", "on") // inserts the rows without events
		parsed.RawQuery = query.Encode()
		return sql.Open("pgx", parsed.String())
	}
	return sql.Open("sqlite", database.SQLitePath(address))
}

func (d data) load(ctx context.Context, db *sql.DB, rows int) error {
	for from := 1; from <= rows; from += atOnce {
		_, err := db.ExecContext(ctx, fmt.Sprintf(d.fill, from, min(from+atOnce-1, rows)))
		if err != nil {
			return fmt.Errorf("fill %s: %w", d.table, err)
		}
	}
	for _, statement := range d.settle {
		_, err := db.ExecContext(ctx, statement)
		if err != nil {
			return fmt.Errorf("settle %s: %w", d.table, err)
		}
	}
	return nil
}
