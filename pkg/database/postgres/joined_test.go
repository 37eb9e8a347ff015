package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	testserver "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/postgres"
)

// observed is a context that reports that someone waits for its end.
type observed struct {
	context.Context //nolint:containedctx // it is one
	once            *sync.Once
	waited          chan struct{}
}

func observe(ctx context.Context) observed {
	return observed{ctx, &sync.Once{}, make(chan struct{})}
}

// Done implements context.Context.
func (o observed) Done() <-chan struct{} {
	o.once.Do(func() { close(o.waited) })
	return o.Context.Done()
}

// share executes statements in one shared transaction, as long as they don't fail: it
// keeps another statement in flight until all of them wait. It returns a channel with
// the error of each.
func share(t *testing.T, db *postgres.Joined, statements ...string) []chan error {
	t.Helper()
	held, err := pgx.Connect(t.Context(), db.Config().ConnString())
	require.NoError(t, err)
	defer func() { require.NoError(t, held.Close(context.Background())) }()
	_, err = held.Exec(t.Context(), "SELECT pg_advisory_lock(1)")
	require.NoError(t, err)
	start := func(statement string) chan error {
		ctx, failed := observe(t.Context()), make(chan error, 1)
		go func() {
			_, err := db.Exec(ctx, statement)
			failed <- err
		}()
		<-ctx.waited
		return failed
	}
	before := db.Answers()
	first := start("SELECT pg_advisory_xact_lock(1)")
	failed := make([]chan error, len(statements))
	for i, statement := range statements {
		failed[i] = start(statement)
	}
	require.Equal(t, before, db.Answers(), "all are still in flight")
	_, err = held.Exec(t.Context(), "SELECT pg_advisory_unlock(1)")
	require.NoError(t, err)
	require.NoError(t, <-first)
	return failed
}

// newJoined returns a database with a table of unique values.
func newJoined(t *testing.T) *postgres.Joined {
	t.Helper()
	return newJoinedAs(t, "cache_statement")
}

func newJoinedAs(t *testing.T, mode string) *postgres.Joined {
	t.Helper()
	address := testserver.New(t)
	administer(t, address, "CREATE TABLE kept (value text UNIQUE)")
	return postgres.JoinWrites(open(t, address+"&default_query_exec_mode="+mode))
}

// everyMode runs a test with pgx's modes: with prepared statements, and as behind poolers.
func everyMode(t *testing.T, test func(*testing.T, *postgres.Joined)) {
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) { test(t, newJoinedAs(t, mode)) })
	}
}

func insert(value string) string { return fmt.Sprintf("INSERT INTO kept VALUES ('%s')", value) }

func values(t *testing.T, db *postgres.Joined) []string {
	t.Helper()
	found, err := db.Query(t.Context(), "SELECT value FROM kept ORDER BY value")
	require.NoError(t, err)
	got, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	return got
}

func TestWritesInFlightShareATransaction(t *testing.T) {
	everyMode(t, func(t *testing.T, db *postgres.Joined) {
		before := db.Answers()
		for _, failed := range share(t, db, insert("a"), insert("b"), insert("c"), insert("d")) {
			require.NoError(t, <-failed)
		}
		require.Equal(t, before+2, db.Answers(), "the health check counts the first one and the batch")
		var transactions int
		require.NoError(t, db.QueryRow(t.Context(), "SELECT count(DISTINCT xmin::text) FROM kept").Scan(&transactions))
		require.Equal(t, 1, transactions)
		require.Equal(t, []string{"a", "b", "c", "d"}, values(t, db))
	})
}

func TestARejectedWriteFailsAlone(t *testing.T) {
	everyMode(t, func(t *testing.T, db *postgres.Joined) {
		var rejected int
		for _, failed := range share(t, db, insert("a"), insert("b"), insert("a"), insert("c")) {
			err := <-failed
			if err != nil {
				rejected++
				require.True(t, postgres.UniqueViolation(err, "kept_value_key"), err)
			}
		}
		require.Equal(t, 1, rejected)
		require.Equal(t, []string{"a", "b", "c"}, values(t, db))
	})
}

// TestAWriteThatWaitsForALockDelaysNoOther: each client waits only for its own conflicts.
func TestAWriteThatWaitsForALockDelaysNoOther(t *testing.T) {
	db := newJoined(t)
	tx, err := db.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), insert("b"))
	require.NoError(t, err)
	failed := share(t, db, insert("a"), insert("b"), insert("c"))
	require.NoError(t, <-failed[0])
	require.NoError(t, <-failed[2])
	select {
	case err := <-failed[1]:
		require.Fail(t, "the write did not wait", err)
	default:
	}
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, <-failed[1])
	require.Equal(t, []string{"a", "b", "c"}, values(t, db))
}

// TestWritesWhoseAnswerIsLostAreNotRepeated: they may have been committed, and a client
// would get a conflict with its own row.
func TestWritesWhoseAnswerIsLostAreNotRepeated(t *testing.T) {
	everyMode(t, func(t *testing.T, db *postgres.Joined) {
		for _, failed := range share(t, db, insert("a"), "SELECT pg_terminate_backend(pg_backend_pid())", insert("c")) {
			require.ErrorIs(t, postgres.Wrap(<-failed), database.ErrUnavailable)
		}
		require.Empty(t, values(t, db))
	})
}

// TestWritesShareATransactionAfterARestart: connections that the server has ended are
// replaced.
func TestWritesShareATransactionAfterARestart(t *testing.T) {
	db := newJoined(t)
	fill(t, db.DB, func() {
		administer(t, db.Config().ConnString(), "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()")
	})
	for _, failed := range share(t, db, insert("a"), insert("b")) {
		require.NoError(t, <-failed)
	}
	require.Equal(t, []string{"a", "b"}, values(t, db))
}
