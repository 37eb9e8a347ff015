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
// and not reported as erased before that.
func TestAUserDeletedAfterARestoreIsErased(t *testing.T) {
	s := open(t, "sqlite")
	create := func() string {
		return idOf(t, s.want(t, http.StatusCreated, http.MethodPost, s.usersURL(), person("Ada", uuid.NewString()+"@example.com")))
	}
	for range 5 {
		create()
	}
	backup := filepath.Join(t.TempDir(), "b.db")
	r := process.Command(t, process.Build(t, "user-service"), []string{"backup", backup}, "DATABASE_URL="+s.usersDB.url)
	require.Zero(t, r.ExitCode, r.Stderr)
	for range 20 {
		create()
	}
	last := create()
	s.want(t, http.StatusNoContent, http.MethodDelete, s.usersURL()+"/"+last, "")
	s.waitComplete(t, last)
	s.users.Kill()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		require.NoError(t, os.RemoveAll(filepath.Join(s.usersDB.folder, "user-service.db")+suffix))
	}
	r = process.Command(t, process.Build(t, "user-service"), []string{"restore", backup}, "DATABASE_URL="+s.usersDB.url)
	require.Zero(t, r.ExitCode, r.Stderr)
	s.users.start(t)
	v := create()
	var o string
	apitest.Eventually(t, "the breaker closes again", func() bool {
		status, made := s.do(http.MethodPost, s.ordersURL(), orderOf(v, "Canary street"))
		if status == http.StatusCreated {
			o = idOf(t, made)
		}
		return o != ""
	})
	s.want(t, http.StatusNoContent, http.MethodDelete, s.usersURL()+"/"+v, "")
	s.waitComplete(t, v)
	s.requireErased(t, v, map[string]int{o: 1})
}
