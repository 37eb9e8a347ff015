package erasure

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/process"
)

// TestAUserDeletedAfterARestoreIsErased: user-service is restored from a backup that is older
// than the events that order-service has read. A user who is deleted afterwards is erased,
// and not reported as erased before that, also if order-service reads the feed only after
// as many new events as were lost.
func TestAUserDeletedAfterARestoreIsErased(t *testing.T) {
	for name, meanwhile := range map[string]int{"read at once": 0, "read after as many events": 60} {
		t.Run(name, func(t *testing.T) {
			s := open(t, "sqlite")
			create := func() string {
				return idOf(t, s.want(t, http.StatusCreated, http.MethodPost, s.usersURL(), person("Ada", uuid.NewString()+"@example.com")))
			}
			remove := func(user string) { s.want(t, http.StatusNoContent, http.MethodDelete, s.usersURL()+"/"+user, "") }
			v := create()
			var o string
			apitest.Eventually(t, "an order is created", func() bool {
				status, made := s.do(http.MethodPost, s.ordersURL(), orderOf(v, "Canary street"))
				if status == http.StatusCreated {
					o = idOf(t, made)
				}
				return o != ""
			})
			backup := filepath.Join(t.TempDir(), "b.db")
			r := process.Command(t, process.Build(t, "user-service"), []string{"backup", backup}, "DATABASE_URL="+s.usersDB.url)
			require.Zero(t, r.ExitCode, r.Stderr)
			for range 20 {
				create()
			}
			last := create()
			remove(last)
			s.waitComplete(t, last)
			if meanwhile > 0 {
				s.orders.Kill()
			}
			s.users.Kill()
			for _, suffix := range []string{"", "-wal", "-shm"} {
				require.NoError(t, os.RemoveAll(filepath.Join(s.usersDB.folder, "user-service.db")+suffix))
			}
			r = process.Command(t, process.Build(t, "user-service"), []string{"restore", backup}, "DATABASE_URL="+s.usersDB.url)
			require.Zero(t, r.ExitCode, r.Stderr)
			s.users.start(t)
			remove(v)
			for range meanwhile {
				create()
			}
			if meanwhile > 0 {
				s.orders.start(t)
			}
			s.waitComplete(t, v)
			s.requireErased(t, v, map[string]int{o: 1})
		})
	}
}
