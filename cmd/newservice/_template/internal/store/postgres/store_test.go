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

	"github.com/example/microservices/services/widget-service/internal/store/postgres"
	"github.com/example/microservices/services/widget-service/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

func open(t *testing.T, address string) *postgres.Store {
	s, err := postgres.Open(t.Context(), address, database.Login{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, testserver.New(t)) })
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
	const insert = `INSERT INTO widget_service.widgets (id, owner_id, name, quantity, version, created_at, updated_at) VALUES (gen_random_uuid(), gen_random_uuid(), $1, $2, 1, now(), now())`
	for name, c := range map[string]struct {
		name     string
		quantity int
	}{"no name": {"", 1}, "a quantity below 0": {"a", -1}, "a quantity too large": {"a", 1000001}} {
		_, err := conn.Exec(t.Context(), insert, c.name, c.quantity)
		require.ErrorContains(t, err, "check constraint", name)
	}
	_, err = conn.Exec(t.Context(), insert, "a", 1)
	require.NoError(t, err)
}

// TestAPageReadsOnlyItsRows: queries read only a page's rows, however many widgets exist,
// with generic plans and with custom ones.
func TestAPageReadsOnlyItsRows(t *testing.T) {
	address := testserver.New(t)
	open(t, address)
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	// One per second, of 10 owners, in random order.
	_, err = conn.Exec(t.Context(), `INSERT INTO widget_service.widgets (id, owner_id, name, quantity, version, created_at, updated_at)
		SELECT (lpad(to_hex(1767225600000 + 1000 * i), 12, '0') || '70008000' || lpad(to_hex(i), 12, '0'))::uuid, ('00000000-0000-4000-8000-' || lpad(to_hex(i % 10), 12, '0'))::uuid,
			'x', 1, 1, timestamptz '2026-01-01 00:00Z' + i * interval '1 s', now()
		FROM generate_series(1, 20000) AS i ORDER BY md5(i::text); ANALYZE widget_service.widgets`)
	require.NoError(t, err)
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	owner := uuid.MustParse("00000000-0000-4000-8000-000000000008")
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
		"ListWidgets":        {`Index Scan Backward using widgets_pkey on widgets.*\n +Index Cond: \(` + bounds, nil},
		"ListWidgetsOfOwner": {`Index Scan Backward using widgets_owner on widgets.*\n +Index Cond: \(\(owner_id = [^)]*\) AND ` + bounds, []any{owner}},
	} {
		for period, between := range periods {
			t.Log(name, period)
			custom, generic := plan.Postgres(t, conn, plan.Query(t, name), append(append(row.args, between...), 21)...)
			plan.RequireIndex(t, custom, row.uses)
			plan.RequireIndex(t, generic, row.uses)
		}
	}
}
