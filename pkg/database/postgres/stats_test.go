package postgres_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	testserver "github.com/example/microservices/test/postgres"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

func open(t *testing.T, address string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), address, "shop")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// TestWhoWaitsInVainIsCounted: the pool's own waits are those that ended well.
func TestWhoWaitsInVainIsCounted(t *testing.T) {
	db := open(t, testserver.New(t)+"&pool_max_conns=1")
	held, err := db.Acquire(t.Context())
	require.NoError(t, err)
	defer held.Release()
	before := db.Stats()

	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = db.Acquire(short)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, before.Waits, db.Stats().Waits)
	require.Equal(t, before.Abandoned+1, db.Stats().Abandoned)
}

// TestMigrationsArePendingUntilTheDatabaseSaysOtherwise: one that doesn't answer
// lacks them still.
func TestMigrationsArePendingUntilTheDatabaseSaysOtherwise(t *testing.T) {
	db := open(t, testserver.New(t))
	set := migration.Set{
		Files:   fstest.MapFS{"00001_things.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}},
		Dialect: goose.DialectPostgres, Table: "shop.versions", Required: 1,
	}
	require.Error(t, db.Check(t.Context(), set))
	require.Equal(t, 1, db.Stats().Pending)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, db.Check(ended, set), context.Canceled)
	require.Equal(t, 1, db.Stats().Pending)

	require.NoError(t, db.Migrate(t.Context(), set, slog.New(slog.DiscardHandler)))
	require.NoError(t, db.Check(t.Context(), set))
	require.Zero(t, db.Stats().Pending)
}
