package main

import (
	"context"
	"database/sql"
	"fmt"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"github.com/example/microservices/pkg/database"
)

// data is the rows of a table.
type data struct {
	// table is the table's name.
	table string
	// statements fill it; %d is the number of rows.
	statements []string
}

// manyOrders is the user who has nine of ten orders.
const manyOrders = "01920000-0000-7000-8000-000000000001"

// someOrder is the first order.
const someOrder = "01920000-0000-7000-8000-000000000001"

// The rows are made by the database itself, which is by far the fastest. Their
// ids ascend, as those of the services do.
var (
	usersData = map[string]data{
		onSQLite: {"users", []string{`
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO users (id, name, email, email_key, age, version, created_at, updated_at)
SELECT printf('01920000-0000-7000-8000-%%012x', i), 'Ada Lovelace', 'ada' || i || '@example.com', 'ada' || i || '@example.com',
  i %% 100, 1, 1727740800000000 + i, 1727740800000000 + i
FROM n`, sqliteSettled}},
		onPostgres: {"user_service.users", []string{`
INSERT INTO user_service.users (id, name, email, email_key, age, version, created_at, updated_at)
SELECT ('01920000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'Ada Lovelace', 'ada' || i || '@example.com', 'ada' || i || '@example.com',
  i %% 100, 1, now(), now()
FROM generate_series(1, %d) AS i`, "VACUUM ANALYZE user_service.users", "CHECKPOINT"}},
	}
	ordersData = map[string]data{
		onSQLite: {"orders", []string{`
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at)
SELECT printf('01920000-0000-7000-8000-%%012x', i), ` + someUser + `,
  '[{"product_id":"p1","product_name":"Laptop","quantity":1,"price":999.99}]', '12 St James''s Square, London', ` + someStatus + `,
  99999, 1, 1727740800000000 + i, 1727740800000000 + i
FROM n`, sqliteSettled}},
		onPostgres: {"order_service.orders", []string{`
INSERT INTO order_service.orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at)
SELECT ('01920000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, (` + someUser + `)::uuid,
  '[{"product_id":"p1","product_name":"Laptop","quantity":1,"price":999.99}]', '12 St James''s Square, London', ` + someStatus + `,
  999.99, 1, now(), now()
FROM generate_series(1, %d) AS i`, "VACUUM ANALYZE order_service.orders", "CHECKPOINT"}},
	}
)

const (
	someUser      = `CASE WHEN i %% 10 = 0 THEN '01920000-0000-7000-8000-000000000002' ELSE '` + manyOrders + `' END`
	someStatus    = `CASE (i / 10) %% 3 WHEN 0 THEN 'pending' WHEN 1 THEN 'shipped' ELSE 'delivered' END`
	sqliteSettled = "PRAGMA wal_checkpoint(TRUNCATE)"
)

func openData(kind, address string) (*sql.DB, error) {
	if kind == onPostgres {
		return sql.Open("pgx", address)
	}
	return sql.Open("sqlite", database.SQLitePath(address))
}

func (d data) load(ctx context.Context, db *sql.DB, rows int) error {
	for i, statement := range d.statements {
		if i == 0 {
			statement = fmt.Sprintf(statement, rows)
		}
		_, err := db.ExecContext(ctx, statement)
		if err != nil {
			return fmt.Errorf("fill %s: %w", d.table, err)
		}
	}
	return nil
}
