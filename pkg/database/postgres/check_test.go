package postgres_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	testserver "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/database/migration"
)

// oneMigration is a schema with one version.
var oneMigration = migration.Postgres("shop", fstest.MapFS{"migrations/00001_things.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}}, 1)

// TestMigrationsArePendingUntilTheDatabaseSaysOtherwise: a check without an answer
// doesn't change the number.
func TestMigrationsArePendingUntilTheDatabaseSaysOtherwise(t *testing.T) {
	db := open(t, testserver.New(t))
	require.Error(t, db.Check(t.Context()))
	require.Equal(t, 1, db.Stats().Pending)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, db.Check(ended), context.Canceled)
	require.Equal(t, 1, db.Stats().Pending)

	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	require.NoError(t, db.Check(t.Context()))
	require.Zero(t, db.Stats().Pending)
}

// TestASlowCheckIsNoFailureWhileQueriesSucceed: a service that lacks CPU must not
// report its database as unavailable.
func TestASlowCheckIsNoFailureWhileQueriesSucceed(t *testing.T) {
	db := open(t, testserver.New(t))
	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	// slow runs a check whose second query blocks. If asked, other queries are answered
	// meanwhile.
	slow := func(asked bool) error {
		locked, err := db.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, locked.Rollback(t.Context())) }()
		_, err = locked.Exec(t.Context(), "LOCK TABLE shop.goose_db_version IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- db.Check(ctx) }()
		for asked && len(done) == 0 {
			_, err := db.Exec(t.Context(), "SELECT 1")
			require.NoError(t, err)
		}
		return <-done
	}
	require.ErrorIs(t, slow(true), context.DeadlineExceeded, "no check has seen the required schema version yet")
	require.NoError(t, db.Check(t.Context()))
	require.NoError(t, slow(true))
	require.NoError(t, slow(true), "as long as other queries are answered")
	require.ErrorIs(t, slow(false), context.DeadlineExceeded, "no query but the check's was answered")
	require.ErrorIs(t, slow(true), context.DeadlineExceeded, "after a failure only a complete check counts")

	require.NoError(t, db.Check(t.Context()))
	db.Require(2)
	require.ErrorContains(t, db.Check(t.Context()), "version 1, and 2 is required")
	db.Require(1)
	require.ErrorIs(t, slow(true), context.DeadlineExceeded, "the schema was too old at the last complete check")
}
