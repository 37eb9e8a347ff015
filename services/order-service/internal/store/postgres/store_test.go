package postgres_test

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/plan"
	testserver "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/ids"

	"github.com/example/microservices/services/order-service/internal/store/postgres"
	"github.com/example/microservices/services/order-service/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

func open(t *testing.T, address string) *postgres.Store { return openAs(t, address, true) }

func openAs(t *testing.T, address string, joined bool) *postgres.Store {
	s, err := postgres.Open(t.Context(), address, database.Login{}, joined)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, testserver.New(t)) })
}

func TestStoreThatJoinsNothing(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return openAs(t, testserver.New(t), false) })
}

// TestStoreWithoutPreparedStatements runs the store as behind an older PgBouncer.
func TestStoreWithoutPreparedStatements(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		return open(t, testserver.New(t)+"&default_query_exec_mode=exec")
	})
}

// TestTheSchemaRejectsInvalidRows bypasses the service: the schema rejects invalid rows.
func TestTheSchemaRejectsInvalidRows(t *testing.T) {
	address := testserver.New(t)
	open(t, address)
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	const insert = `INSERT INTO order_service.orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at) VALUES (gen_random_uuid(), gen_random_uuid(), $1, 'x', $2, $3, 1, now(), now())`
	const item = `{"product_id":"p","product_name":"P","quantity":1,"price":0.1}`
	for name, c := range map[string]struct{ items, status, total string }{
		"an unknown status": {`[` + item + `]`, "lost", "1"}, "a negative total": {`[` + item + `]`, "pending", "-0.01"},
		"a total too large": {`[` + item + `]`, "pending", "1000000000000"}, "no items": {`[]`, "pending", "1"},
		"a negative price": {`[` + item + `,{"quantity":1,"price":-1}]`, "pending", "1"}, "no quantity": {`[{"price":1}]`, "pending", "1"},
	} {
		_, err := conn.Exec(t.Context(), insert, c.items, c.status, c.total)
		require.Error(t, err, name)
	}
	_, err = conn.Exec(t.Context(), insert, `[`+item+`]`, "pending", "1")
	require.NoError(t, err)
}

// TestAPageReadsOnlyItsRows: queries read only a page's rows, however many orders exist,
// with generic plans and with custom ones.
func TestAPageReadsOnlyItsRows(t *testing.T) {
	address := testserver.New(t)
	open(t, address)
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	// One order per second, of 10 users, a quarter of them shipped, in random order.
	_, err = conn.Exec(t.Context(), `INSERT INTO order_service.orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at)
		SELECT (lpad(to_hex(1767225600000 + 1000 * i), 12, '0') || '70008000' || lpad(to_hex(i), 12, '0'))::uuid, ('00000000-0000-4000-8000-' || lpad(to_hex(i % 10), 12, '0'))::uuid,
			'[{"quantity":1,"price":1}]', 'x', CASE WHEN i % 4 = 0 THEN 'shipped' ELSE 'delivered' END, 1, 1, timestamptz '2026-01-01 00:00Z' + i * interval '1 s', now()
		FROM generate_series(1, 20000) AS i ORDER BY md5(i::text); ANALYZE order_service.orders`)
	require.NoError(t, err)
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	user := uuid.MustParse("00000000-0000-4000-8000-000000000008")
	periods := map[string][]any{
		"all":     {uuid.Max, uuid.Nil},
		"a half":  {ids.At(at(15000)), ids.At(at(5000))},
		"an hour": {ids.At(at(13600)), ids.At(at(10000))},
	}
	const bounds = `\(id < [^)]*\) AND \(id > [^)]*\)`
	for name, row := range map[string]struct {
		uses string
		args []any
	}{
		"ListOrders":               {`Index Scan Backward using orders_pkey on orders.*\n +Index Cond: \(` + bounds, nil},
		"ListOrdersOfUser":         {`Index Scan Backward using orders_user on orders.*\n +Index Cond: \(\(user_id = [^)]*\) AND ` + bounds, []any{user}},
		"ListOrdersInStatus":       {`Index Scan Backward using orders_status on orders.*\n +Index Cond: \(\(status = [^)]*\) AND ` + bounds, []any{"shipped"}},
		"ListOrdersOfUserInStatus": {`Index Scan Backward using orders_user_status on orders.*\n +Index Cond: \(\(user_id = [^)]*\) AND \(status = [^)]*\) AND ` + bounds, []any{user, "shipped"}},
	} {
		for period, between := range periods {
			t.Log(name, period)
			custom, generic := plan.Postgres(t, conn, plan.Query(t, name), append(append(row.args, between...), 21)...)
			plan.RequireIndex(t, custom, row.uses)
			plan.RequireIndex(t, generic, row.uses)
		}
	}
	custom, generic := plan.Postgres(t, conn, plan.Query(t, "GetOrders"), "{"+uuid.NewString()+","+uuid.NewString()+"}")
	require.Contains(t, custom, "orders_pkey")
	require.Contains(t, generic, "orders_pkey")
}
