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

// outside is a PostgreSQL beside the cluster, as a managed one is: on this
// machine, at an address that pods reach (E2E_HOST).
var outside = sync.OnceValues(func() (*postgres.Server, error) {
	started = true
	host := os.Getenv("E2E_HOST")
	if host == "" {
		return nil, fmt.Errorf("E2E_HOST must be this machine's address as pods see it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return postgres.Start(ctx, postgres.Options{Listen: host})
})

// started says whether outside was asked for.
var started bool

// stopDatabase stops outside.
func stopDatabase() error {
	if !started {
		return nil
	}
	server, err := outside()
	if err != nil {
		return nil //nolint:nilerr // there is nothing to stop, and the tests have said so
	}
	return server.Stop()
}

// newDatabase returns the address of a new, empty database, as pods see it.
func newDatabase(t *testing.T) string {
	t.Helper()
	if os.Getenv(postgres.EnvURL) != "" {
		return postgres.New(t)
	}
	server, err := outside()
	require.NoError(t, err)
	return server.New(t)
}
