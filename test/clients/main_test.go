// Package clients uses the services like third parties: through clients that common generators
// create from the documents, and with generated requests.
package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
)

const root = "../.."

func TestMain(m *testing.M) { os.Exit(process.Main(m)) }

// startServices starts both services.
func startServices(t *testing.T) (users, orders *process.Process) {
	t.Helper()
	database := func(name string) string { return "DATABASE_URL=sqlite://" + filepath.Join(t.TempDir(), name) }
	users = process.Start(t, process.Build(t, "user-service"), database("users.db"), "RATE_LIMIT_EMAIL=0")
	orders = process.Start(t, process.Build(t, "order-service"), database("orders.db"), "USER_SERVICE_URL="+users.URL)
	return users, orders
}

// run runs a program in a folder, and returns its standard output.
func run(t *testing.T, folder string, env []string, program string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Dir, command.Env = folder, append(os.Environ(), env...)
	var said strings.Builder
	command.Stderr = &said
	out, err := command.Output()
	require.NoError(t, err, "%s %s\n%s%s", program, strings.Join(arguments, " "), out, said.String())
	return string(out)
}

// tool returns the path of a program of .ci/tools, or of its folder.
func tool(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(run(t, root, nil, ".ci/tool", "--path", name))
}

// copyFolder copies a folder of testdata.
func copyFolder(t *testing.T, name string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	require.NoError(t, os.CopyFS(folder, os.DirFS(filepath.Join("testdata", name))))
	amounts, err := os.ReadFile("testdata/amounts.json")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "amounts.json"), amounts, 0o600))
	return folder
}

// document returns the path of a service's committed document.
func document(t *testing.T, service string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "services", service, "openapi.yaml"))
	require.NoError(t, err)
	return path
}
