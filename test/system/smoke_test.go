package system

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
)

func TestSmoke(t *testing.T) {
	users := startUsers(t)
	binary := process.Build(t, "order-service")
	orders := process.Start(t, binary, "DATABASE_URL="+databases["sqlite"](t), "USER_SERVICE_URL="+users.URL)
	smoke := func() process.Result {
		return process.Command(t, binary, []string{"smoke"}, "USER_URL="+users.URL, "ORDER_URL="+orders.URL)
	}
	got := smoke()
	require.Zero(t, got.ExitCode, got.Stderr)
	require.Contains(t, got.Stdout, "it works")
	require.Empty(t, readAll(t, httpClient(t), users.URL+"/api/v1/users"), "the smoke test left users behind")
	require.Empty(t, readAll(t, httpClient(t), orders.URL+"/api/v1/orders"))
	users.Kill()
	got = smoke()
	require.Equal(t, 1, got.ExitCode)
	require.Contains(t, got.Stderr, "create a user")
}
