package postgres

import (
	"context"
	"log/slog"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/database/migration"
	testserver "github.com/example/microservices/test/postgres"
)

// TestASlowCheckOfADatabaseThatAnswersIsNoFailure: a service with too little of a
// processor must not be taken for one whose database is away.
func TestASlowCheckOfADatabaseThatAnswersIsNoFailure(t *testing.T) {
	db, err := Open(t.Context(), testserver.New(t), "shop")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	set := migration.Set{
		Files:   fstest.MapFS{"00001_things.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}},
		Dialect: goose.DialectPostgres, Table: "shop.versions", Required: 1,
	}
	require.NoError(t, db.Migrate(t.Context(), set, slog.New(slog.DiscardHandler)))
	// check runs one that gets no connection, while others ask the database or not.
	check := func(asked bool) error {
		held, err := db.probe.Acquire(t.Context())
		require.NoError(t, err)
		defer held.Release()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		done := make(chan error)
		go func() { done <- db.Check(ctx, set) }()
		for {
			select {
			case err := <-done:
				return err
			default:
			}
			if !asked {
				return <-done
			}
			_, err := db.Exec(t.Context(), "SELECT 1")
			require.NoError(t, err)
		}
	}
	require.ErrorIs(t, check(true), context.DeadlineExceeded, "its schema has never been seen to be new enough")
	require.NoError(t, db.Check(t.Context(), set))
	require.NoError(t, check(true))
	require.ErrorIs(t, check(false), context.DeadlineExceeded, "nobody was answered")
}
