package erasure

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

// TestAUserDeletedAfterALossIsErased: user-service's database has lost events that
// order-service has read. A user who is deleted afterwards is erased, and not reported as
// erased before that, also if order-service reads the feed only after as many new events as
// were lost.
func TestAUserDeletedAfterALossIsErased(t *testing.T) {
	for name, row := range map[string]struct {
		kind string
		// loss returns a function that saves the state, and one that goes back to it.
		loss func(*testing.T, *shop) (save, lose func())
	}{
		"a backup is restored":              {"sqlite", restoredBackup},
		"a copied file is put back":         {"sqlite", copiedFile},
		"a standby that lagged is promoted": {"postgres", laggingStandby},
	} {
		for when, meanwhile := range map[string]int{"read at once": 0, "read after as many events": 60} {
			t.Run(name+", "+when, func(t *testing.T) {
				s := open(t, row.kind)
				save, lose := row.loss(t, s)
				user, order := s.customer(t)
				save()
				for range 20 {
					s.createUser(t)
				}
				lost := s.createUser(t)
				s.deleteUser(t, lost)
				s.waitComplete(t, lost)
				if meanwhile > 0 {
					s.orders.Kill()
				}
				lose()
				s.deleteUser(t, user)
				for range meanwhile {
					s.createUser(t)
				}
				if meanwhile > 0 {
					s.orders.start(t)
				}
				s.waitComplete(t, user)
				s.requireErased(t, user, map[string]int{order: 1})
			})
		}
	}
}

func (s *shop) createUser(t *testing.T) string {
	t.Helper()
	return idOf(t, s.want(t, http.StatusCreated, http.MethodPost, s.usersURL(), person("Ada", uuid.NewString()+"@example.com")))
}

func (s *shop) deleteUser(t *testing.T, user string) {
	t.Helper()
	s.want(t, http.StatusNoContent, http.MethodDelete, s.usersURL()+"/"+user, "")
}

// customer creates a user with an order.
func (s *shop) customer(t *testing.T) (user, order string) {
	t.Helper()
	user = s.createUser(t)
	apitest.Eventually(t, "an order is created", func() bool {
		status, made := s.do(http.MethodPost, s.ordersURL(), orderOf(user, "Canary street"))
		if status == http.StatusCreated {
			order = idOf(t, made)
		}
		return order != ""
	})
	return user, order
}

func restoredBackup(t *testing.T, s *shop) (save, lose func()) {
	backup := filepath.Join(t.TempDir(), "backup.db")
	command := func(name string) {
		r := process.Command(t, process.Build(t, "user-service"), []string{name, backup}, "DATABASE_URL="+s.usersDB.url)
		require.Zero(t, r.ExitCode, r.Stderr)
	}
	return func() { command("backup") }, func() {
		s.users.Kill()
		require.NoError(t, removeContent(s.usersDB.folder))
		command("restore")
		s.users.start(t)
	}
}

func copiedFile(t *testing.T, s *shop) (save, lose func()) {
	copied := filepath.Join(t.TempDir(), "copy")
	return func() {
			s.users.Kill()
			require.NoError(t, os.CopyFS(copied, os.DirFS(s.usersDB.folder)))
			s.users.start(t)
		}, func() {
			s.users.Kill()
			require.NoError(t, removeContent(s.usersDB.folder))
			require.NoError(t, os.CopyFS(s.usersDB.folder, os.DirFS(copied)))
			s.users.start(t)
		}
}

// removeContent removes all files of a folder.
func removeContent(folder string) error {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		err = errors.Join(err, os.Remove(filepath.Join(folder, e.Name())))
	}
	return err
}

// laggingStandby moves user-service to a primary with a standby, which gets nothing after
// save.
func laggingStandby(t *testing.T, s *shop) (save, lose func()) {
	servers := postgres.NewPair(t, "users")
	s.users.Kill()
	s.users.env = append(s.users.env, fmt.Sprintf("DATABASE_URL=postgres://postgres@%s,%s/users?sslmode=disable&target_session_attrs=read-write", servers.Primary.Addr(), servers.Standby.Addr()))
	s.users.start(t)
	return func() {
			servers.Primary.Administer(t, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
			require.NoError(t, servers.Standby.Kill())
		}, func() {
			require.NoError(t, servers.Primary.Kill())
			require.NoError(t, servers.Standby.Restart(t.Context()))
			servers.Promote(t)
			require.NoError(t, s.usersDB.Close())
			var err error
			s.usersDB.DB, err = sql.Open("pgx", servers.Standby.URL("users"))
			require.NoError(t, err)
			apitest.Eventually(t, "writes work again", func() bool {
				status, _ := s.do(http.MethodPost, s.usersURL(), person("Ada", uuid.NewString()+"@example.com"))
				return status == http.StatusCreated
			})
		}
}
