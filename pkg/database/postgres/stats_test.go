package postgres_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	testserver "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/postgres"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

func open(t *testing.T, address string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), address, database.Login{}, oneMigration)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// TestFailedWaitsAreCounted: the pool counts only successful waits as waits.
func TestFailedWaitsAreCounted(t *testing.T) {
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
