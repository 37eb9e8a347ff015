package catalog_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/catalog"
)

const (
	users  = "name: user-service\nport: 8000\npath: /api/v1/users\nnoun: user\ndatabase: user_service\ncallerScopes: [users:lookup]\n"
	orders = "name: order-service\nport: 7000\npath: /api/v1/orders\nnoun: order\ndatabase: order_service\nneeds: [user-service]\n"
)

// project returns a folder with services, by the names of their folders.
func project(t *testing.T, services map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range services {
		folder := filepath.Join(root, "services", name)
		require.NoError(t, os.MkdirAll(folder, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, "service.yaml"), []byte(content), 0o600))
	}
	return root
}

func TestAServiceComesAfterItsDependencies(t *testing.T) {
	all, err := catalog.Read(project(t, map[string]string{"user-service": users, "order-service": orders}))
	require.NoError(t, err)
	require.Equal(t, []string{"user-service", "order-service"}, catalog.Names(all), "although order-service has the lower port")
	require.Equal(t, map[string]string{"USER_SERVICE_URL": "user-service"}, all[1].Upstreams())
	require.Equal(t, map[string]string{"USER_CLIENT_TOKEN_FILE": "user-service"}, all[1].Tokens())
	require.Equal(t, []string{"users:lookup"}, catalog.ScopesFor(all[1], all))
	require.Equal(t, []string{"USER", "users", "user_service"}, []string{all[0].Prefix(), all[0].Nouns(), all[0].Identifier()})
}

func TestInvalidServicesAreNamed(t *testing.T) {
	for name, row := range map[string]struct {
		services map[string]string
		says     string
	}{
		"no service":                     {nil, "there is no services/*/service.yaml"},
		"another folder":                 {map[string]string{"carts": users}, `name is "user-service", and the folder "carts"`},
		"a misspelt field":               {map[string]string{"user-service": users + "prot: 1\n"}, "field prot not found"},
		"nothing":                        {map[string]string{"user-service": ""}, "EOF"},
		"no port":                        {map[string]string{"a": "name: a\n"}, "port 0"},
		"no database":                    {map[string]string{"a": "name: a\nport: 1\n"}, `database ""`},
		"a path elsewhere":               {map[string]string{"a": "name: a\nport: 1\ndatabase: a\npath: /a\n"}, `path "/a"`},
		"no noun":                        {map[string]string{"a": "name: a\nport: 1\ndatabase: a\npath: /api/v1/a\n"}, "noun is missing"},
		"an unknown need":                {map[string]string{"order-service": orders}, "unknown or circular needs of order-service"},
		"one port for two":               {map[string]string{"user-service": users, "a": "name: a\nport: 8000\ndatabase: a\npath: /api/v1/a\nnoun: a\n"}, "have the same port: 8000"},
		"a name that is not a host name": {map[string]string{"A": "name: A\n"}, `name "A"`},
		"one schema for two":             {map[string]string{"user-service": users, "a": "name: a\nport: 1\ndatabase: user_service\npath: /api/v1/a\nnoun: a\n"}, "have the same database: user_service"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := catalog.Read(project(t, row.services))
			require.ErrorContains(t, err, row.says)
		})
	}
}

func TestTheProjectsServicesAreFound(t *testing.T) {
	all, err := catalog.Read(catalog.Root())
	require.NoError(t, err)
	require.Subset(t, catalog.Names(all), []string{"user-service", "order-service"})
}
