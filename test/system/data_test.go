package system

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
)

// subcommand runs a service's subcommand on a database.
func subcommand(t *testing.T, service, address string, args ...string) process.Result {
	t.Helper()
	return process.Command(t, process.Build(t, service), args, "DATABASE_URL="+address)
}

// TestABackupHasEveryWriteAcknowledgedBefore makes a backup during many writes, loses the file,
// and restores it. Every key that was answered before the backup is replayed, byte for byte.
func TestABackupHasEveryWriteAcknowledgedBefore(t *testing.T) {
	t.Parallel()
	binary, folder := process.Build(t, "user-service"), t.TempDir()
	file := filepath.Join(folder, "users.db")
	service := &restartable{binary: binary, env: []string{"DATABASE_URL=sqlite://" + file}}
	service.start(t)
	url, client := service.url()+"/api/v1/users", httpClient(t)
	body := func(i int) string { return fmt.Sprintf(`{"name":"Ada","email":"ada%d@example.com"}`, i) }

	const before = 400
	var acknowledged sync.Map // key → answer
	var written atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for i := c; ; i += 4 {
				select {
				case <-stop:
					return
				default:
				}
				if a := write(client, url, i, body(i)); a != nil {
					acknowledged.Store(i, a)
					written.Add(1)
				}
			}
		})
	}
	until(t, "some rows are written", func() bool { return written.Load() > before })
	kept := map[int]*answer{}
	acknowledged.Range(func(i, a any) bool { kept[i.(int)] = a.(*answer); return true })
	during := written.Load()
	backup := subcommand(t, "user-service", "sqlite://"+file, "backup", folder)
	require.Zero(t, backup.ExitCode, backup.Stderr)
	require.Greater(t, written.Load(), during, "the service stopped writing during the backup")
	close(stop)
	clients.Wait()
	service.process.Kill()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		require.NoError(t, os.RemoveAll(file+suffix))
	}

	restored := subcommand(t, "user-service", "sqlite://"+file, "restore", folder)
	require.Zero(t, restored.ExitCode, restored.Stderr)
	service.start(t)
	for i, a := range kept {
		again := write(client, url, i, body(i))
		require.NotNil(t, again)
		require.True(t, again.replayed, "key %d was acknowledged before the backup", i)
		require.Equal(t, string(a.body), string(again.body))
	}
}

// until polls until happened returns true.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	poll, limit := time.NewTicker(5*time.Millisecond), time.NewTimer(time.Minute)
	defer poll.Stop()
	defer limit.Stop()
	for !happened() {
		select {
		case <-poll.C:
		case <-limit.C:
			require.Fail(t, "not within a minute", what)
		}
	}
}

// TestBackupsAreKept: only the newest backups stay, and other files are not touched.
func TestBackupsAreKept(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	address := "sqlite://" + filepath.Join(t.TempDir(), "users.db")
	require.Zero(t, subcommand(t, "user-service", address, "migrate").ExitCode)
	others := []string{"orders-20010101T000000Z.db", "users-20010101T000000Z.txt", "users.db"}
	old := []string{"users-20010101T000000Z.db", "users-20010101T000001Z.db", "users-20010102T000000Z.db"}
	for _, name := range append(old, others...) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o600))
	}
	got := subcommand(t, "user-service", address, "backup", folder, "2")
	require.Zero(t, got.ExitCode, got.Stderr)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "only the owner may read it")
		names = append(names, e.Name())
	}
	require.Subset(t, names, append(others, old[2]))
	require.Len(t, names, len(others)+2)
}

// TestADestructiveOrBrokenRestoreIsRejected: such a restore fails and changes nothing.
func TestADestructiveOrBrokenRestoreIsRejected(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	backup, file := filepath.Join(folder, "backup.db"), filepath.Join(folder, "users.db")
	running := process.Start(t, process.Build(t, "user-service"), "DATABASE_URL=sqlite://"+file)
	process.CreateUser(t, running)
	require.Zero(t, subcommand(t, "user-service", "sqlite://"+file, "backup", backup).ExitCode)

	whole, err := os.ReadFile(backup)
	require.NoError(t, err)
	damaged := strings.ReplaceAll(string(whole), "CREATE TABLE users", "CREATE TABLE \x00sers") // all occurrences, as free space may have one
	require.NoError(t, os.WriteFile(filepath.Join(folder, "damaged.db"), []byte(damaged), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "half.db"), whole[:len(whole)/2], 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "text.db"), []byte(strings.Repeat("no database ", 100)), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "empty.db"), nil, 0o600))
	orders := filepath.Join(folder, "orders.db")
	require.Zero(t, subcommand(t, "order-service", "sqlite://"+orders, "migrate").ExitCode)

	fresh := filepath.Join(folder, "fresh.db")
	for name, row := range map[string]struct{ target, backup, says string }{
		"a running service":         {file, backup, "stop the service first"},
		"no backup":                 {fresh, filepath.Join(folder, "nowhere.db"), "there is no file"},
		"a folder without a backup": {fresh, folder, "no backup of fresh.db: none is named fresh-TIME.db"},
		"a damaged backup":          {fresh, filepath.Join(folder, "damaged.db"), "malformed"},
		"half a backup":             {fresh, filepath.Join(folder, "half.db"), "malformed"},
		"a text file":               {fresh, filepath.Join(folder, "text.db"), "not a database"},
		"an empty database":         {fresh, filepath.Join(folder, "empty.db"), "the schema is of version 0"},
		"another service's backup":  {fresh, orders, "it has the tables erased_users, events, followed, idempotency_keys, orders, but this service has the tables users, idempotency_keys, events, consumers, erasures"},
		"a PostgreSQL database":     {"", backup, "DATABASE_URL is a PostgreSQL database: restore is for SQLite"},
	} {
		address := "sqlite://" + row.target
		if row.target == "" {
			address = "postgres://127.0.0.1:1/d"
		}
		got := subcommand(t, "user-service", address, "restore", row.backup)
		require.NotZero(t, got.ExitCode, name)
		require.Contains(t, got.Stderr, row.says, name)
		require.NoFileExists(t, fresh, name)
	}
	running.Kill()
	got := subcommand(t, "user-service", "sqlite://"+file, "restore", backup)
	require.Regexp(t, `has 1 rows in [a-z]+: move the file and the files that begin with its name elsewhere first`, got.Stderr)

	left, err := filepath.Glob(filepath.Join(folder, ".*"))
	require.NoError(t, err)
	require.Empty(t, left, "a part of the restore stays")
	again := process.Start(t, process.Build(t, "user-service"), "DATABASE_URL=sqlite://"+file)
	require.Len(t, readAll(t, httpClient(t), again.URL+"/api/v1/users"), 1)
	again.Kill()

	require.NoError(t, os.Rename(file, file+".old"))
	require.Zero(t, subcommand(t, "user-service", "sqlite://"+file, "migrate").ExitCode)
	require.Zero(t, subcommand(t, "user-service", "sqlite://"+file, "restore", backup).ExitCode, "a restore to a new file works")
	require.Zero(t, subcommand(t, "user-service", "sqlite://"+fresh, "restore", backup).ExitCode)
}

// copied are the services' tables and statements that fill them, with values that the types
// of one of the databases might not keep.
var copied = map[string]struct{ table, insert string }{
	"user-service": {"users", `INSERT INTO users SELECT printf('%08x-0000-7000-8000-%012x', i, i), 'Ä' || char(0x1f600) || i, i || '@b.co', i || '@b.co', iif(i % 3, i % 150, NULL), i + 1, 1700000000123456 + i, -i`},
	"order-service": {"orders", `INSERT INTO orders SELECT printf('%08x-0000-7000-8000-%012x', i, i), printf('%08x-0000-4000-8000-%012x', i % 10, 1),
		'[{"product_name":"<é\u00e9\n>","product_id":"p","quantity":' || (1 + i) || ',"price":0.10}]', 'x', 'pending', iif(i % 2, i, 99999999999999 - i), 1, 1700000000123456 + i, 0, iif(i % 7, NULL, 1700000000123456 + i), 'customer'`},
}

const (
	copiedRows = 12000
	series     = ` FROM (WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT %d) SELECT i FROM n)`
	keys       = `INSERT INTO idempotency_keys SELECT char(0x7a + i % 200), 'K_k-' || i, x'00ff', 201, '/x', '"1"', CAST('{"a": ' || i || '}' AS BLOB), i, 9000000000000000 + i`
)

// fill creates a service's SQLite file with rows.
func fill(t *testing.T, service string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "source.db")
	require.Zero(t, subcommand(t, service, "sqlite://"+file, "migrate").ExitCode)
	db, err := sql.Open("sqlite", file)
	require.NoError(t, err)
	for _, statement := range []string{copied[service].insert, keys} {
		_, err = db.Exec(statement + fmt.Sprintf(series, copiedRows))
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
	return file
}

// TestAKilledCopyCanBeContinued kills a copy in the middle of the first table's second batch,
// then another in that of the second table, and then runs it to the end.
func TestAKilledCopyCanBeContinued(t *testing.T) {
	for service, is := range copied {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			file, target := fill(t, service), databases["postgres"](t)
			require.Zero(t, subcommand(t, service, target, "migrate").ExitCode)
			db, schema := connect(t, target), strings.ReplaceAll(service, "-", "_")
			// A collation that sorts unlike SQLite.
			_, err := db.Exec("ALTER TABLE " + schema + `.idempotency_keys ALTER caller TYPE text COLLATE "en-x-icu", ALTER key TYPE text COLLATE "en-x-icu"`)
			require.NoError(t, err)
			rows := func(table string) (n int) {
				require.NoError(t, db.QueryRow("SELECT count(*) FROM "+schema+"."+table).Scan(&n))
				return n
			}
			for _, table := range []string{is.table, "idempotency_keys"} {
				release := stopInTheMiddle(t, db, schema+"."+table)
				cmd := exec.Command(process.Build(t, service), "copy", file)
				cmd.Env = []string{"DATABASE_URL=" + target}
				require.NoError(t, cmd.Start())
				until(t, "the copy waits", func() (waits bool) {
					require.NoError(t, db.QueryRow("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))").Scan(&waits))
					return waits
				})
				require.NoError(t, cmd.Process.Kill())
				require.Error(t, cmd.Wait())
				release()
				until(t, "the unfinished batch is rolled back", func() (gone bool) {
					require.NoError(t, db.QueryRow("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'copy %' AND datname = current_database())").Scan(&gone))
					return gone
				})
				// The server may have committed the second batch.
				require.Contains(t, []int{5000, 10000}, rows(table), "the table must have whole batches")
			}
			done := subcommand(t, service, target, "copy", file)
			require.Zero(t, done.ExitCode, done.Stderr)
			require.Contains(t, done.Stdout, `"continuing an earlier copy"`)
			require.Regexp(t, `"copied and compared".*"rows":12000`, done.Stdout)
			require.Equal(t, copiedRows, rows(is.table))
			require.Equal(t, copiedRows, rows("idempotency_keys"))
			again := subcommand(t, service, target, "copy", file)
			require.Zero(t, again.ExitCode, "a complete copy is compared again")

			// A later change on either side makes another copy fail.
			for _, change := range []string{
				"UPDATE " + schema + "." + is.table + " SET version = version + 1 WHERE id = (SELECT max(id::text)::uuid FROM " + schema + "." + is.table + ")",
				"DELETE FROM " + schema + "." + is.table,
			} {
				_, err := db.Exec(change)
				require.NoError(t, err)
				refused := subcommand(t, service, target, "copy", file)
				require.NotZero(t, refused.ExitCode)
				require.Contains(t, refused.Stderr, "it must be empty")
			}
		})
	}
}

// stopInTheMiddle makes the insert of the 7,001st row wait until release is called.
func stopInTheMiddle(t *testing.T, db *sql.DB, table string) (release func()) {
	t.Helper()
	held, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = held.ExecContext(t.Context(), "SELECT pg_advisory_lock(1)")
	require.NoError(t, err)
	_, err = db.Exec(fmt.Sprintf(`CREATE SEQUENCE IF NOT EXISTS inserted; SELECT setval('inserted', 1, false);
		CREATE OR REPLACE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF nextval(''inserted'') = 7001 THEN PERFORM pg_advisory_xact_lock_shared(1); END IF; RETURN NEW; END';
		CREATE TRIGGER stop BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION stop()`, table))
	require.NoError(t, err)
	return func() {
		_, err := held.ExecContext(t.Context(), "SELECT pg_advisory_unlock(1)")
		require.NoError(t, err)
		require.NoError(t, held.Close())
		_, err = db.Exec("DROP TRIGGER stop ON " + table)
		require.NoError(t, err)
	}
}

// TestACopiedDatabaseIsServed: the service gives the same answers from the other kind of
// database, also to keys that were used before.
func TestACopiedDatabaseIsServed(t *testing.T) {
	t.Parallel()
	file, target := filepath.Join(t.TempDir(), "users.db"), databases["postgres"](t)
	client, body := httpClient(t), `{"name":"Ada","email":"ada@example.com","age":36}`
	before := process.Start(t, process.Build(t, "user-service"), "DATABASE_URL=sqlite://"+file)
	first := write(client, before.URL+"/api/v1/users", 1, body)
	require.NotNil(t, first)
	refused := subcommand(t, "user-service", target, "copy", file)
	require.Contains(t, refused.Stderr, "stop the service first")
	refused = subcommand(t, "user-service", "sqlite://"+file, "copy", file)
	require.Contains(t, refused.Stderr, "DATABASE_URL must be postgres://")
	before.Kill()

	got := subcommand(t, "user-service", target, "copy", "sqlite://"+file)
	require.Zero(t, got.ExitCode, got.Stderr)
	after := process.Start(t, process.Build(t, "user-service"), "DATABASE_URL="+target)
	again := write(client, after.URL+"/api/v1/users", 1, body)
	require.True(t, again.replayed)
	require.Equal(t, string(first.body), string(again.body))
	require.NotNil(t, write(client, after.URL+"/api/v1/users", 2, strings.Replace(body, "ada@", "bob@", 1)))
	response, err := client.Get(after.URL + "/api/v1/users?limit=1")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)

	refused = subcommand(t, "user-service", target, "copy", file)
	require.Contains(t, refused.Stderr, "it must be empty", "a service has used it")
}
