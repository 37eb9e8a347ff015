package postgres_test

import (
	"log/slog"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	testserver "github.com/example/microservices/test/postgres"

	"github.com/example/microservices/services/order-service/internal/store/postgres"
	"github.com/example/microservices/services/order-service/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

func open(t *testing.T, address string) *postgres.Store {
	s, err := postgres.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, testserver.New(t)) })
}

// TestStoreWithoutPreparedStatements is how the store runs behind an older
// PgBouncer.
func TestStoreWithoutPreparedStatements(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		return open(t, testserver.New(t)+"&default_query_exec_mode=exec")
	})
}

// TestTheSchemaHasTheRules goes around the service.
func TestTheSchemaHasTheRules(t *testing.T) {
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
