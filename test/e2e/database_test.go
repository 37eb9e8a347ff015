//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/postgres"
)

// outside is a PostgreSQL outside the cluster, like a managed one: on this machine, at an
// address that pods reach (E2E_HOST).
var outside = sync.OnceValues(func() (*postgres.Server, error) {
	started = true
	host := os.Getenv("E2E_HOST")
	if host == "" {
		return nil, fmt.Errorf("E2E_HOST must be an address of this machine that pods reach")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return postgres.Start(ctx, postgres.Options{Listen: host})
})

// started reports whether outside was called.
var started bool

// stopDatabase stops outside.
func stopDatabase() error {
	if !started {
		return nil
	}
	server, err := outside()
	if err != nil {
		return nil //nolint:nilerr // nothing was started, and the tests have reported the error
	}
	return server.Stop()
}

// newDatabase returns the address of a new, empty database, as pods reach it.
func newDatabase(t *testing.T) string {
	t.Helper()
	if os.Getenv(postgres.EnvURL) != "" {
		return postgres.New(t)
	}
	server, err := outside()
	require.NoError(t, err)
	return server.New(t)
}
