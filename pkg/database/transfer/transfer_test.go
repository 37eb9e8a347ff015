package transfer_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	testserver "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/database/transfer"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

// store is a store with one table in each kind of database.
func store(inSQLite, inPostgres string) transfer.Store {
	files := func(sql string) fstest.MapFS {
		return fstest.MapFS{"migrations/00001_shop.sql": {Data: []byte("-- +goose Up\n" + sql)}}
	}
	return transfer.Store{
		Tables:   []string{"things"},
		SQLite:   migration.SQLite(files(inSQLite), 1),
		Postgres: migration.Postgres("shop", files(inPostgres), 1),
	}
}

const (
	things   = "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, at INTEGER) STRICT;"
	thingsPG = "CREATE TABLE shop.things (id bigint PRIMARY KEY, name text, at timestamptz);"
)

// file creates a SQLite file of s, and runs the statement in it.
func file(t *testing.T, s transfer.Store, statement string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "things.db")
	db, err := sqlite.Open(path, s.SQLite)
	require.NoError(t, err)
	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
		_, err := c.Exec(t.Context(), statement)
		return err
	}))
	require.NoError(t, db.Close())
	return path
}

func copyTo(t *testing.T, s transfer.Store, source string) (*postgres.DB, error) {
	t.Helper()
	target, err := postgres.Open(t.Context(), testserver.New(t), database.Login{}, s.Postgres)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, target.Close()) })
	return target, s.Copy(t.Context(), source, target, slog.New(slog.DiscardHandler))
}

func TestCopiedRowsKeepTheirValues(t *testing.T) {
	s := store(things, thingsPG)
	target, err := copyTo(t, s, file(t, s, "INSERT INTO things VALUES (1, 'a', 1700000000123456), (-2, NULL, NULL), (3, '', -1)"))
	require.NoError(t, err)
	var got string
	require.NoError(t, target.QueryRow(t.Context(), "SELECT string_agg(things::text, ' ' ORDER BY id) FROM shop.things").Scan(&got))
	require.Equal(t, `(-2,,) (1,a,"2023-11-14 22:13:20.123456+00") (3,"","1969-12-31 23:59:59.999999+00")`, got)
}

// TestDataThatCannotBeCopiedIsReportedFirst: the error comes before any row is copied.
func TestDataThatCannotBeCopiedIsReportedFirst(t *testing.T) {
	for name, row := range map[string]struct{ inSQLite, inPostgres, statement, says string }{
		"a missing column":                      {things, "CREATE TABLE shop.things (id bigint PRIMARY KEY, name text, at timestamptz, size int);", "SELECT 1", "things has the columns at, id, name in the source and at, id, name, size in the target"},
		"an unknown type":                       {things, "CREATE TABLE shop.things (id bigint PRIMARY KEY, name inet, at timestamptz);", "SELECT 1", "things.name is of the type inet, which can't be copied"},
		"an unlisted table":                     {things + "CREATE TABLE more (id INTEGER);", thingsPG, "SELECT 1", "it has the tables more, things, but this service has the tables things"},
		"a value of another type":               {"CREATE TABLE things (id INTEGER PRIMARY KEY, name ANY, at INTEGER) STRICT;", thingsPG, "INSERT INTO things VALUES (1, 2, 3)", "name has a value that can't be converted to text: a int64"},
		"a value that is invalid in PostgreSQL": {things, "CREATE TABLE shop.things (id bigint PRIMARY KEY, name uuid, at timestamptz);", "INSERT INTO things VALUES (1, 'x', 3)", "name has a value that can't be converted to uuid"},
	} {
		t.Run(name, func(t *testing.T) {
			s := store(row.inSQLite, row.inPostgres)
			target, err := copyTo(t, s, file(t, s, row.statement))
			require.ErrorContains(t, err, row.says)
			var n int
			err = target.QueryRow(t.Context(), "SELECT count(*) FROM shop.things").Scan(&n)
			if err == nil {
				require.Zero(t, n)
			}
		})
	}
}
