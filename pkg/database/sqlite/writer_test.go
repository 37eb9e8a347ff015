package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) *sqlite.DB {
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "test.db"), noMigrations)
	require.NoError(t, err)
	require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
		_, err := c.Exec(t.Context(), "CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT")
		return err
	}))
	return db
}

var noMigrations migration.Set

func insert(n int) func(*sqlite.Conn) error {
	return func(c *sqlite.Conn) error {
		_, err := c.Exec(context.Background(), "INSERT INTO t VALUES (?)", n)
		return err
	}
}

func rows(t *testing.T, db *sqlite.DB) int {
	n, err := sqlite.One(t.Context(), db, func(r sqlite.Row) (int64, error) { return r.Int(0), nil }, "SELECT count(*) FROM t")
	require.NoError(t, err)
	return int(n)
}

// TestAFailedWriteDoesNotAffectItsGroup: some writes of a group fail, panic, or have a
// cancelled context. Theirs are rolled back, the others are committed.
func TestAFailedWriteDoesNotAffectItsGroup(t *testing.T) {
	db := open(t)
	defer func() { require.NoError(t, db.Close()) }()
	refusal := errors.New("refused")
	gone, leave := context.WithCancel(t.Context())
	leave()
	const writers = 200
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			ctx := t.Context()
			if i%5 == 4 {
				ctx = gone
			}
			errs[i] = db.Write(ctx, func(c *sqlite.Conn) error {
				err := insert(i)(c)
				switch i % 5 {
				case 1:
					return refusal
				case 2:
					panic("broken")
				case 3:
					return errors.Join(err, insert(i)(c)) // the same row twice
				}
				return err
			})
		})
	}
	wg.Wait()
	for i, err := range errs {
		switch i % 5 {
		case 0:
			require.NoError(t, err)
		case 1:
			require.ErrorIs(t, err, refusal)
		case 2:
			require.ErrorContains(t, err, "panic in a write: broken")
		case 3:
			require.ErrorContains(t, err, "UNIQUE constraint failed")
		case 4:
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	require.Equal(t, writers/5, rows(t, db))
}

func TestAWriteIsSeenByTheNextRead(t *testing.T) {
	db := open(t)
	defer func() { require.NoError(t, db.Close()) }()
	for i := range 50 {
		require.NoError(t, db.Write(t.Context(), insert(i)))
		require.Equal(t, i+1, rows(t, db))
	}
}

func TestCloseWaitsForRunningWrites(t *testing.T) {
	for range 20 {
		db := open(t)
		begun, finish := make(chan struct{}), make(chan struct{})
		wrote, closed := make(chan error, 1), make(chan error, 1)
		go func() {
			wrote <- db.Write(t.Context(), func(c *sqlite.Conn) error {
				close(begun)
				<-finish
				return insert(1)(c)
			})
		}()
		<-begun
		go func() { closed <- db.Close() }()
		close(finish)
		require.NoError(t, <-wrote)
		require.NoError(t, <-closed)
		require.Error(t, db.Write(t.Context(), insert(2)), "a write after Close fails")
	}
}

func TestSettings(t *testing.T) {
	db := open(t)
	defer func() { require.NoError(t, db.Close()) }()
	for name, with := range map[string]func(context.Context, func(*sqlite.Conn) error) error{"reads": db.Read, "writes": db.Write} {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
			require.NoError(t, with(t.Context(), func(c *sqlite.Conn) error {
				return c.Query(t.Context(), "PRAGMA "+pragma, func(r sqlite.Row) error {
					require.Equal(t, want, r.Text(0), "%s %s", name, pragma)
					return nil
				})
			}))
		}
	}
}

// TestNothingIsWrittenToARemovedFile: a write to a file that has no name any more would be lost
// with the process.
func TestNothingIsWrittenToARemovedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sqlite.Open(path, migration.SQLite(fstest.MapFS{"migrations/00001_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t (n INTEGER PRIMARY KEY) STRICT;")}}, 1))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	require.NoError(t, db.Check(t.Context()))
	require.NoError(t, db.Write(t.Context(), insert(1)))
	require.NoError(t, os.Rename(path, path+".moved"))
	require.ErrorContains(t, db.Check(t.Context()), "was removed")
	require.ErrorIs(t, db.Write(t.Context(), insert(2)), database.ErrUnavailable)
	require.NoError(t, os.Rename(path+".moved", path))
	require.NoError(t, db.Check(t.Context()))
	require.NoError(t, db.Write(t.Context(), insert(3)))
	require.Equal(t, 2, rows(t, db))
}

// TestAnotherServicesFileIsRejected: its version may be as high as that of this service.
func TestAnotherServicesFileIsRejected(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	open := func(table string) *sqlite.DB {
		db, err := sqlite.Open(path, migration.SQLite(fstest.MapFS{"migrations/00001_t.sql": {Data: []byte("-- +goose Up\nCREATE TABLE " + table + " (n INTEGER PRIMARY KEY) STRICT;")}}, 1))
		require.NoError(t, err)
		return db
	}
	users := open("users")
	require.NoError(t, users.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	require.NoError(t, users.Check(t.Context()))
	require.NoError(t, users.Close())
	orders := open("orders")
	defer func() { require.NoError(t, orders.Close()) }()
	const says = "DATABASE_URL names another service's database: it has no table orders"
	require.ErrorContains(t, orders.Migrate(t.Context(), slog.New(slog.DiscardHandler)), says)
	require.ErrorContains(t, orders.Check(t.Context()), says)
}

func TestAFileThatCantBeOpenedIsNamed(t *testing.T) {
	dir := t.TempDir()
	for path, why := range map[string]string{dir: "is a directory", dir + "/no/x.db": "no such file", ":memory:": "not supported"} {
		_, err := sqlite.Open(path, noMigrations)
		require.ErrorContains(t, err, why)
		require.ErrorContains(t, err, "DATABASE_URL", fmt.Sprint(path))
	}
}
