package postgres_test

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	testserver "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/health"
)

// administer runs statements on a new connection that may write.
func administer(t *testing.T, address string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address+"&default_transaction_read_only=off")
	require.NoError(t, err)
	defer conn.Close(context.Background())
	for _, statement := range statements {
		_, err = conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// fill opens all connections of the pool, calls meanwhile, and releases them.
func fill(t *testing.T, db *postgres.DB, meanwhile ...func()) {
	t.Helper()
	conns := make([]*pgxpool.Conn, db.Stat().MaxConns())
	for i := range conns {
		var err error
		conns[i], err = db.Acquire(t.Context())
		require.NoError(t, err)
	}
	for _, do := range meanwhile {
		do()
	}
	for _, conn := range conns {
		conn.Release()
	}
}

// quoted returns the database name in the address, quoted.
func quoted(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	return pgx.Identifier{strings.TrimPrefix(parsed.Path, "/")}.Sanitize()
}

// writes are the ways in which a store writes.
var writes = map[string]func(context.Context, *postgres.DB) error{
	"exec": func(ctx context.Context, db *postgres.DB) error {
		_, err := db.Exec(ctx, "INSERT INTO kept VALUES ($1)", "a")
		return err
	},
	"query row": func(ctx context.Context, db *postgres.DB) error {
		var got string
		return db.QueryRow(ctx, "INSERT INTO kept VALUES ($1) RETURNING value", "b").Scan(&got)
	},
	"query": func(ctx context.Context, db *postgres.DB) error {
		found, err := db.Query(ctx, "INSERT INTO kept VALUES ($1) RETURNING value", "c")
		if err != nil {
			return err
		}
		_, err = pgx.CollectExactlyOneRow(found, pgx.RowTo[string])
		return err
	},
}

// writeOnEvery writes once per connection of the pool, all at the same time.
func writeOnEvery(t *testing.T, db *postgres.DB, write func(context.Context, *postgres.DB) error) {
	t.Helper()
	failed := make(chan error, db.Stat().MaxConns())
	var wg sync.WaitGroup
	for range db.Stat().MaxConns() {
		wg.Go(func() { failed <- write(t.Context(), db) })
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	var n int32
	require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n))
	require.Equal(t, db.Stat().MaxConns(), n, "each write took effect once")
}

// TestReadOnlySessionsAreDropped: they would reject writes for as long as
// they live.
func TestReadOnlySessionsAreDropped(t *testing.T) {
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			address := testserver.New(t)
			administer(t, address, "CREATE TABLE kept (value text)", "ALTER DATABASE "+quoted(t, address)+" SET default_transaction_read_only = on")
			db := open(t, address)
			fill(t, db)
			require.ErrorIs(t, postgres.Wrap(write(t.Context(), db)), database.ErrUnavailable)

			administer(t, address, "ALTER DATABASE "+quoted(t, address)+" RESET default_transaction_read_only")
			writeOnEvery(t, db, write)
		})
	}
}

// TestEndedSessionsAreNotUsed: after a restart or a crash, the pool has no
// others.
func TestEndedSessionsAreNotUsed(t *testing.T) {
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			address := testserver.New(t)
			administer(t, address, "CREATE TABLE kept (value text)")
			db := open(t, address)
			fill(t, db, func() { // connections idle for a second are pinged anyway
				administer(t, address, "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			})
			writeOnEvery(t, db, write)
		})
	}
}

// TestAStatementWithAnUnknownOutcomeIsNotRepeated: its session ended during the
// statement.
func TestAStatementWithAnUnknownOutcomeIsNotRepeated(t *testing.T) {
	const statement = "SELECT nextval('tries'), pg_terminate_backend(pg_backend_pid())"
	for name, do := range map[string]func(context.Context, *postgres.DB) error{
		"exec": func(ctx context.Context, db *postgres.DB) error {
			_, err := db.Exec(ctx, statement)
			return err
		},
		"query row": func(ctx context.Context, db *postgres.DB) error {
			var n int
			var ended bool
			return db.QueryRow(ctx, statement).Scan(&n, &ended)
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, testserver.New(t))
			_, err := db.Exec(t.Context(), "CREATE SEQUENCE tries")
			require.NoError(t, err)
			require.ErrorIs(t, postgres.Wrap(do(t.Context(), db)), database.ErrUnavailable)
			var tries int
			require.NoError(t, db.QueryRow(t.Context(), "SELECT last_value FROM tries").Scan(&tries))
			require.Equal(t, 1, tries)
		})
	}
}

// TestALostPreparedStatementIsPreparedAgain: a pooler switches to another server session, or a
// migration changes a column's type.
func TestALostPreparedStatementIsPreparedAgain(t *testing.T) {
	for name, loss := range map[string]string{
		"deallocated": "DEALLOCATE ALL",
		"changed":     "ALTER TABLE kept ALTER value TYPE varchar(9)",
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, testserver.New(t)+"&pool_max_conns=1")
			_, err := db.Exec(t.Context(), "CREATE TABLE kept (value text)")
			require.NoError(t, err)
			read := func() error {
				found, err := db.Query(t.Context(), "SELECT * FROM kept")
				if err != nil {
					return err
				}
				_, err = pgx.CollectRows(found, pgx.RowTo[string])
				return err
			}
			require.NoError(t, read())
			_, err = db.Exec(t.Context(), loss, pgx.QueryExecModeExec)
			require.NoError(t, err)
			require.NoError(t, read())
		})
	}
}

// TestAReadOnlyDatabaseIsDegraded: when it is writable again, no session from before is
// left: one to a replica would be read from for an hour.
func TestAReadOnlyDatabaseIsDegraded(t *testing.T) {
	address := testserver.New(t)
	require.NoError(t, open(t, address).Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	administer(t, address, "ALTER DATABASE "+quoted(t, address)+" SET default_transaction_read_only = on")
	db := open(t, address)
	fill(t, db)
	err := db.Check(t.Context())
	require.ErrorIs(t, err, health.ErrDegraded)
	require.EqualError(t, err, "it is read-only: degraded")
	fill(t, db)
	require.ErrorIs(t, db.Check(t.Context()), health.ErrDegraded)
	opened := db.Stat().NewConnsCount()
	require.ErrorIs(t, db.Check(t.Context()), health.ErrDegraded)
	fill(t, db)
	require.Equal(t, opened, db.Stat().NewConnsCount(), "connections are replaced only when the database changes")

	administer(t, address, "ALTER DATABASE "+quoted(t, address)+" RESET default_transaction_read_only")
	require.NoError(t, db.Check(t.Context()))
	for range db.Stat().MaxConns() {
		conn, err := db.Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
		var setting string
		require.NoError(t, conn.QueryRow(t.Context(), "SHOW transaction_read_only").Scan(&setting))
		require.Equal(t, "off", setting)
	}
}

// TestRepeatableReadIsRejected: triggers and erasures rely on seeing what was committed while
// they waited for a lock.
func TestRepeatableReadIsRejected(t *testing.T) {
	address := testserver.New(t)
	_, err := postgres.Open(t.Context(), address+"&options=-c%20default_transaction_isolation%3Drepeatable%5C%20read", database.Login{}, migration.Set{})
	require.ErrorContains(t, err, "it must be read committed")
	require.NotErrorIs(t, err, database.ErrUnavailable)
	for _, level := range []string{"read%5C%20committed", "serializable"} {
		db, err := postgres.Open(t.Context(), address+"&options=-c%20default_transaction_isolation%3D"+level, database.Login{}, migration.Set{})
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
}

// TestASessionThatTheServerEndsIsUnavailable: whatever the reason, the database can't answer
// now. The same is true of one that the server doesn't begin.
func TestASessionThatTheServerEndsIsUnavailable(t *testing.T) {
	address := testserver.New(t)
	conn, err := pgx.Connect(t.Context(), address+"&idle_in_transaction_session_timeout=1")
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), "BEGIN")
	for err == nil {
		_, err = conn.Exec(t.Context(), "SELECT 1")
	}
	require.ErrorContains(t, err, "25P03")
	require.ErrorIs(t, postgres.Wrap(err), database.ErrUnavailable)

	u, err := url.Parse(address)
	require.NoError(t, err)
	closed := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	administer(t, u.String(), "ALTER DATABASE "+pgx.Identifier{closed}.Sanitize()+" ALLOW_CONNECTIONS false")
	_, err = pgx.Connect(t.Context(), address)
	require.ErrorContains(t, err, "55000")
	require.ErrorIs(t, postgres.Wrap(err), database.ErrUnavailable)
}
