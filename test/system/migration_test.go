package system

import (
	"database/sql"
	"net/http"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/example/microservices/internal/testkit/process"
)

func connect(t *testing.T, address string) *sql.DB {
	driver, name := "pgx", address
	if path, isFile := strings.CutPrefix(address, "sqlite://"); isFile {
		driver, name = "sqlite", path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// versions is the table of a service's applied migrations.
func versions(kind, service string) string {
	if kind == "postgres" {
		return strings.ReplaceAll(service, "-", "_") + ".goose_db_version"
	}
	return "goose_db_version"
}

// TestConcurrentStartsMigrateOnce starts ten processes of a service on one new database:
// all become ready, and each migration is applied exactly once.
func TestConcurrentStartsMigrateOnce(t *testing.T) {
	for kind, address := range databases {
		for _, service := range services {
			t.Run(service+", "+kind, func(t *testing.T) {
				t.Parallel()
				binary, database := process.Build(t, service), address(t)
				started := make([]*process.Process, 10)
				errs := make(chan error, len(started))
				for i := range started {
					go func() {
						p, err := process.Run(binary, "DATABASE_URL="+database, "READINESS_USER_SERVICE=degraded", "USER_SERVICE_URL=http://127.0.0.1:1")
						started[i] = p
						if err == nil {
							err = p.WaitReady()
						}
						errs <- err
					}()
				}
				for range started {
					require.NoError(t, <-errs)
				}
				for _, p := range started {
					p.Kill()
				}
				var applied, distinct int
				query := "SELECT count(*), count(DISTINCT version_id) FROM " + versions(kind, service) + " WHERE version_id > 0"
				require.NoError(t, connect(t, database).QueryRow(query).Scan(&applied, &distinct))
				require.Equal(t, distinct, applied)
				require.NotZero(t, applied)
			})
		}
	}
}

func TestATooOldSchemaIsNotReady(t *testing.T) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			binary, env := process.Build(t, "user-service"), []string{"DATABASE_URL=" + address(t), "MIGRATE_ON_START=false"}
			p, err := process.Run(binary, env...)
			require.NoError(t, err)
			defer p.Kill()
			require.NoError(t, p.Wait(t.Context(), "/health/ready", http.StatusServiceUnavailable), p.Log())
			require.NoError(t, p.Wait(t.Context(), "/health/live", http.StatusOK))
			for range 2 { // the second does nothing
				migrated := process.Command(t, binary, []string{"migrate"}, env...)
				require.Zero(t, migrated.ExitCode, migrated.Stderr)
			}
			require.NoError(t, p.WaitReady(), p.Log())
			process.CreateUser(t, p)
		})
	}
}

// TestANewerSchemaIsServed runs an old binary on a newer schema, as after a rollback.
func TestANewerSchemaIsServed(t *testing.T) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			binary, database := process.Build(t, "user-service"), address(t)
			env := "DATABASE_URL=" + database
			require.Zero(t, process.Command(t, binary, []string{"migrate"}, env).ExitCode)
			_, err := connect(t, database).Exec("INSERT INTO " + versions(kind, "user-service") + " (version_id, is_applied) VALUES (99999, true)")
			require.NoError(t, err)
			process.CreateUser(t, process.Start(t, binary, env))
		})
	}
}

// TestBothServicesShareADatabase: each uses its own schema.
func TestBothServicesShareADatabase(t *testing.T) {
	database := "DATABASE_URL=" + databases["postgres"](t)
	users := process.Start(t, process.Build(t, "user-service"), database)
	orders := process.Start(t, process.Build(t, "order-service"), database, "USER_SERVICE_URL="+users.URL)
	body := `{"user_id":"` + process.CreateUser(t, users) + `","shipping_address":"x","items":[{"product_id":"p","product_name":"P","quantity":1,"price":1}]}`
	require.NotNil(t, write(httpClient(t), orders.URL+"/api/v1/orders", 1, body))
}

// TestMigratingNeedsOneConnectionOfThePool: the lock has a connection outside the pool.
func TestMigratingNeedsOneConnectionOfThePool(t *testing.T) {
	got := process.Command(t, process.Build(t, "user-service"), []string{"migrate"}, "DATABASE_URL="+databases["postgres"](t)+"&pool_max_conns=1")
	require.Zero(t, got.ExitCode, got.Stderr)
}
