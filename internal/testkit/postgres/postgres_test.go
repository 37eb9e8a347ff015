package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/testkit/postgres"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(postgres.Exit)) }

// start starts a server for t. It leaves no goroutine, so leak checks work while it runs.
func start(t *testing.T, options postgres.Options) *postgres.Server {
	t.Helper()
	server, err := postgres.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func query(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var value string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func TestNewGivesEachTestAnEmptyDatabase(t *testing.T) {
	one := connect(t, postgres.New(t))
	two := connect(t, postgres.New(t))
	execute(t, one, "CREATE TABLE mine (id int)")
	require.Equal(t, "1", query(t, one, "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'"))
	require.Equal(t, "0", query(t, two, "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'"))
}

func TestNewDropsTheDatabaseWithItsOpenConnections(t *testing.T) {
	var url string
	t.Run("a test that forgets to close", func(t *testing.T) {
		url = postgres.New(t)
		conn, err := pgx.Connect(context.Background(), url)
		require.NoError(t, err)
		require.NoError(t, conn.Ping(t.Context()))
	})
	_, err := pgx.Connect(t.Context(), url)
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "3D000", refused.Code, "invalid_catalog_name")
}

func TestNewServesParallelTests(t *testing.T) {
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			conn := connect(t, postgres.New(t))
			execute(t, conn, "CREATE TABLE same_name (id int)")
		})
	}
}

func TestStartedServerIsDurableByDefaultAndHasRoom(t *testing.T) {
	conn := connect(t, start(t, postgres.Options{}).URL("postgres"))
	require.Equal(t, "on", query(t, conn, "SHOW fsync"))
	require.Equal(t, "on", query(t, conn, "SHOW synchronous_commit"))
	require.Equal(t, "300", query(t, conn, "SHOW max_connections"))
	require.Equal(t, "127.0.0.1", query(t, conn, "SHOW listen_addresses"))
	require.Equal(t, "UTF8", query(t, conn, "SHOW server_encoding"))
}

func TestStartTakesSettings(t *testing.T) {
	server := start(t, postgres.Options{NoFsync: true, Settings: map[string]string{"application_name": "it's set"}})
	conn := connect(t, server.URL("postgres"))
	require.Equal(t, "off", query(t, conn, "SHOW fsync"))
	require.Equal(t, "it's set", query(t, conn, "SHOW application_name"))
}

func TestStartReportsWhatTheServerSays(t *testing.T) {
	parent := open(t)
	_, err := postgres.Start(t.Context(), postgres.Options{Parent: parent, Settings: map[string]string{"no_such_setting": "1"}})
	require.ErrorContains(t, err, "no_such_setting")
	require.Empty(t, entries(t, parent), "nothing is left behind")
}

func TestStartEndsWithItsContext(t *testing.T) {
	parent := open(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("changed my mind"))
	_, err := postgres.Start(ctx, postgres.Options{Parent: parent})
	require.Error(t, err)
	require.Empty(t, entries(t, parent), "nothing is left behind")
}

func TestStopLeavesNothing(t *testing.T) {
	parent := open(t)
	server := start(t, postgres.Options{Parent: parent})
	require.Len(t, entries(t, parent), 1)
	require.NoError(t, server.Stop())
	require.Empty(t, entries(t, parent))
	_, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.Error(t, err)
	require.NoError(t, server.Stop(), "a second Stop does nothing")
	require.Error(t, server.Restart(t.Context()), "a stopped server can't restart")
}

func TestKilledServerComesBackWithWhatWasCommitted(t *testing.T) {
	server := start(t, postgres.Options{})
	url := server.New(t)
	conn := connect(t, url)
	execute(t, conn, "CREATE TABLE kept (id int)")
	execute(t, conn, "INSERT INTO kept VALUES (1)")
	execute(t, conn, "BEGIN")
	execute(t, conn, "INSERT INTO kept VALUES (2)")

	require.NoError(t, server.Kill())
	require.Error(t, conn.Ping(t.Context()))
	_, err := pgx.Connect(t.Context(), url)
	require.Error(t, err)
	require.Error(t, server.Kill(), "there is nothing left to kill")

	require.NoError(t, server.Restart(t.Context()))
	require.Error(t, server.Restart(t.Context()), "it runs already")
	require.Contains(t, server.Log(), "automatic recovery")
	require.Equal(t, "1", query(t, connect(t, url), "SELECT string_agg(id::text, ',') FROM kept"))
}

func TestKilledServerCanBeStopped(t *testing.T) {
	parent := open(t)
	server := start(t, postgres.Options{Parent: parent})
	require.NoError(t, server.Kill())
	require.NoError(t, server.Stop())
	require.Empty(t, entries(t, parent))
}

// open returns a folder that the server's user may use if the tests run as root; those of
// t.TempDir belong to root.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "postgres-test-parent-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o777|os.ModeSticky))
	return dir
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	return found
}

func TestStartListensAtAnotherAddressWithAPassword(t *testing.T) {
	server := start(t, postgres.Options{NoFsync: true, Listen: "127.0.0.2"})
	require.Equal(t, "127.0.0.2:5432", server.Addr())
	require.Equal(t, "1", query(t, connect(t, server.URL("postgres")), "SELECT 1"))
	_, err := pgx.Connect(t.Context(), "postgres://postgres:guess@"+server.Addr()+"/postgres?sslmode=disable")
	require.ErrorContains(t, err, "password authentication failed")
}

func TestStandbyFollowsAndTakesOver(t *testing.T) {
	primary := start(t, postgres.Options{NoFsync: true})
	conn := connect(t, primary.URL("postgres"))
	execute(t, conn, "CREATE TABLE kept (id int)")
	standby, err := primary.Standby(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Stop()) })
	execute(t, conn, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	execute(t, conn, "ALTER SYSTEM SET synchronous_commit = remote_apply")
	require.Equal(t, "true", query(t, conn, "SELECT pg_reload_conf()::text"))
	follower := connect(t, standby.URL("postgres"))
	require.Equal(t, "true", query(t, follower, "SELECT pg_is_in_recovery()::text"))

	require.NoError(t, primary.Kill())
	require.Equal(t, "true", query(t, follower, "SELECT pg_promote()::text"))
	execute(t, follower, "INSERT INTO kept VALUES (1)")
}
