package clients

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheGoClient generates clients with oapi-codegen, and runs testdata/go/client_test.go
// with them against the services.
func TestTheGoClient(t *testing.T) {
	t.Parallel()
	folder, generator := copyFolder(t, "go"), tool(t, "oapi-codegen")
	for service, name := range map[string]string{"user-service": "users", "order-service": "orders"} {
		require.NoError(t, os.Mkdir(filepath.Join(folder, name), 0o700))
		run(t, folder, nil, generator, "-generate", "types,client", "-package", name, "-o", filepath.Join(name, "client.go"), document(t, service))
	}
	users, orders := startServices(t)
	run(t, folder, []string{"USERS_URL=" + users.URL, "ORDERS_URL=" + orders.URL, "GOFLAGS=-mod=readonly", "GOWORK=off"}, "go", "test", "-count=1", ".")
}

// TestTheTypeScriptClient generates types with openapi-typescript, compiles
// testdata/typescript/scenario.ts with them in strict mode, and runs it with Node.
func TestTheTypeScriptClient(t *testing.T) {
	t.Parallel()
	folder, modules := copyFolder(t, "typescript"), tool(t, "typescript-client")
	require.NoError(t, os.Symlink(modules, filepath.Join(folder, "node_modules")))
	for service, name := range map[string]string{"user-service": "users", "order-service": "orders"} {
		run(t, folder, nil, "node_modules/.bin/openapi-typescript", document(t, service), "--output", name+".d.ts")
	}
	run(t, folder, nil, "node_modules/.bin/tsc", "--project", ".")
	users, orders := startServices(t)
	said := run(t, folder, []string{"USERS_URL=" + users.URL, "ORDERS_URL=" + orders.URL}, "node", "out/scenario.js")
	require.Contains(t, said, "amounts were exact")
}
