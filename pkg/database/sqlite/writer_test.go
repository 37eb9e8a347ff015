package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/pkg/database/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) *sqlite.DB {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	require.NoError(t, err)
	_, err = db.Writer.ExecContext(t.Context(), "CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT")
	require.NoError(t, err)
	return db
}

func insert(n int) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO t VALUES (?)", n)
		return err
	}
}

func rows(t *testing.T, db *sql.DB) (n int) {
	require.NoError(t, db.QueryRowContext(context.Background(), "SELECT count(*) FROM t").Scan(&n))
	return n
}

// TestEachOfAGroupIsJudgedByItself: of those that share a commit some fail,
// panic, or have a caller that is gone. What they wrote is undone; what the
// others wrote stays.
func TestEachOfAGroupIsJudgedByItself(t *testing.T) {
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
			errs[i] = db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
				err := insert(i)(ctx, tx)
				switch i % 5 {
				case 1:
					return refusal
				case 2:
					panic("broken")
				case 3:
					return errors.Join(err, insert(i)(ctx, tx)) // twice the same
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
	require.Equal(t, writers/5, rows(t, db.Read))
}

func TestAWriteIsSeenByTheNextRead(t *testing.T) {
	db := open(t)
	defer func() { require.NoError(t, db.Close()) }()
	for i := range 50 {
		require.NoError(t, db.Write(t.Context(), insert(i)))
		require.Equal(t, i+1, rows(t, db.Read))
	}
}

func TestCloseWaitsForWhatHasBegun(t *testing.T) {
	for range 20 {
		db := open(t)
		begun, finish := make(chan struct{}), make(chan struct{})
		wrote, closed := make(chan error, 1), make(chan error, 1)
		go func() {
			wrote <- db.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				close(begun)
				<-finish
				return insert(1)(ctx, tx)
			})
		}()
		<-begun
		go func() { closed <- db.Close() }()
		close(finish)
		require.NoError(t, <-wrote)
		require.NoError(t, <-closed)
		require.Error(t, db.Write(t.Context(), insert(2)), "it is closed")
	}
}

func TestSettings(t *testing.T) {
	db := open(t)
	defer func() { require.NoError(t, db.Close()) }()
	for _, pool := range []*sql.DB{db.Read, db.Writer} {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
			var got string
			require.NoError(t, pool.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
			require.Equal(t, want, got, pragma)
		}
	}
}

func TestAFileThatCantBeOpenedIsNamed(t *testing.T) {
	dir := t.TempDir()
	for path, why := range map[string]string{dir: "is a directory", dir + "/no/x.db": "no such file", ":memory:": "not supported"} {
		_, err := sqlite.Open(t.Context(), path)
		require.ErrorContains(t, err, why)
		require.ErrorContains(t, err, "DATABASE_URL", fmt.Sprint(path))
	}
}
