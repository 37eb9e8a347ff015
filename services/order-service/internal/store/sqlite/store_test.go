package sqlite_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/testkit/plan"
	"github.com/example/microservices/services/order-service/internal/store/sqlite"
	"github.com/example/microservices/services/order-service/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		s, err := sqlite.Open(filepath.Join(t.TempDir(), "a #?% file.db"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		require.NoError(t, s.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
		return s
	})
}

// migrated returns an empty database.
func migrated(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "orders.db")
	s, err := sqlite.Open(file)
	require.NoError(t, err)
	require.NoError(t, s.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	require.NoError(t, s.Close())
	return file
}

// TestAPageReadsOnlyItsRows: queries read only a page's rows, however many orders exist.
func TestAPageReadsOnlyItsRows(t *testing.T) {
	file := migrated(t)
	for name, row := range map[string]struct {
		uses string
		args []any
	}{
		"ListOrders":               {`SEARCH orders USING PRIMARY KEY \(id>\? AND id<\?\)`, nil},
		"ListOrdersOfUser":         {`SEARCH orders USING INDEX orders_user \(user_id=\? AND id>\? AND id<\?\)`, []any{"u"}},
		"ListOrdersInStatus":       {`SEARCH orders USING INDEX orders_status \(status=\? AND id>\? AND id<\?\)`, []any{"shipped"}},
		"ListOrdersOfUserInStatus": {`SEARCH orders USING INDEX orders_user_status \(user_id=\? AND status=\? AND id>\? AND id<\?\)`, []any{"u", "shipped"}},
	} {
		plan.RequireIndex(t, plan.SQLite(t, file, sqlite.Queries[name], append(row.args, "b", "a", 21)...), row.uses)
	}
}

// TestAnErasureReadsOnlyItsRows: it runs in the only writer, and must not read the records of
// everybody else's requests.
func TestAnErasureReadsOnlyItsRows(t *testing.T) {
	file := migrated(t)
	records := plan.SQLite(t, file, sqlite.Queries["EraseRecords"], "u", 100)
	require.Contains(t, records, "SEARCH idempotency_keys USING INDEX idempotency_keys_resource")
	require.NotContains(t, records, "SCAN idempotency_keys")
	for _, query := range []string{records, plan.SQLite(t, file, sqlite.Queries["EraseOrders"], "u", 100, "-", 1)} {
		require.Contains(t, query, "SEARCH orders USING INDEX orders_user")
		require.NotContains(t, query, "SCAN orders")
	}
}
