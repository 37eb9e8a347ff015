package sqlite_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/testkit/plan"
	"github.com/example/microservices/services/widget-service/internal/store/sqlite"
	"github.com/example/microservices/services/widget-service/internal/store/storetest"
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

// TestAPageReadsOnlyItsRows: queries read only a page's rows, however many widgets exist.
func TestAPageReadsOnlyItsRows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "widgets.db")
	s, err := sqlite.Open(file)
	require.NoError(t, err)
	require.NoError(t, s.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	require.NoError(t, s.Close())
	for name, row := range map[string]struct {
		uses string
		args []any
	}{
		"ListWidgets":        {`SEARCH widgets USING PRIMARY KEY \(id>\? AND id<\?\)`, nil},
		"ListWidgetsOfOwner": {`SEARCH widgets USING INDEX widgets_owner \(owner_id=\? AND id>\? AND id<\?\)`, []any{"u"}},
	} {
		plan.RequireIndex(t, plan.SQLite(t, file, sqlite.Queries[name], append(row.args, "b", "a", 21)...), row.uses)
	}
}
