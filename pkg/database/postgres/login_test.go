package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	testserver "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/postgres"
)

// TestAPasswordIsChangedUnderLoad: the password changes in the database and then in the
// file, while the pool has one connection and the load needs more. No query fails.
func TestAPasswordIsChangedUnderLoad(t *testing.T) {
	ctx := t.Context()
	server, err := testserver.Start(ctx, testserver.Options{NoFsync: true, Files: map[string]string{
		"pg_hba.conf": "host all app all scram-sha-256\nhost all all all trust\n",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	admin, err := pgx.Connect(ctx, server.New(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close(context.WithoutCancel(ctx))) }()
	_, err = admin.Exec(ctx, "CREATE ROLE app LOGIN")
	require.NoError(t, err)

	file := filepath.Join(t.TempDir(), "password")
	password := func(n int) string { return fmt.Sprintf("s3cr3t / %d", n) }
	inDatabase := func(n int) {
		_, err := admin.Exec(ctx, "ALTER ROLE app PASSWORD '"+password(n)+"'")
		require.NoError(t, err)
	}
	inFile := func(n int) { // like the kubelet: a new file replaces the old one
		require.NoError(t, os.WriteFile(file+".new", []byte(password(n)+"\n"), 0o600))
		require.NoError(t, os.Rename(file+".new", file))
	}
	inDatabase(0)
	inFile(0)
	address, err := url.Parse(admin.Config().ConnString())
	require.NoError(t, err)
	db, err := postgres.Open(ctx, "postgres://"+address.Host+address.Path+"?sslmode=disable", database.Login{User: "app", PasswordFile: file}, oneMigration)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()

	inDatabase(1)
	var done atomic.Int64
	stop := make(chan struct{})
	failed := make(chan error, 20)
	var clients sync.WaitGroup
	for range cap(failed) { // more than the pool has connections
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var one int
				err := db.QueryRow(ctx, "SELECT 1 FROM pg_sleep(0.001)").Scan(&one)
				if err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	more := func(n int64) {
		t.Helper()
		before := done.Load()
		for done.Load() < before+n && len(failed) == 0 {
			<-time.After(time.Millisecond)
		}
	}
	more(200)
	connections := func() (n int) {
		require.NoError(t, admin.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'").Scan(&n))
		return n
	}
	require.Equal(t, 1, connections(), "there is one connection, and no other can be opened")
	inFile(1)
	for connections() == 1 && len(failed) == 0 {
		more(10)
	}
	inDatabase(2)
	more(200)
	inFile(2)
	more(200)
	close(stop)
	clients.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}

	// Without an open connection it is an error, which doesn't contain the password.
	var one int
	db.Reset()
	require.NoError(t, db.QueryRow(ctx, "SELECT 1").Scan(&one))
	inDatabase(3)
	db.Reset()
	err = postgres.Wrap(db.QueryRow(ctx, "SELECT 1").Scan(&one))
	require.ErrorIs(t, err, database.ErrUnavailable)
	require.NotContains(t, err.Error(), "s3cr3t")
	require.NoError(t, os.Remove(file))
	err = postgres.Wrap(db.QueryRow(ctx, "SELECT 1").Scan(&one))
	require.ErrorIs(t, err, database.ErrUnavailable)
	require.ErrorContains(t, err, "DATABASE_PASSWORD_FILE can't be read")
}
