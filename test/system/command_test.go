package system

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/catalog"
	"github.com/example/microservices/internal/testkit/process"
)

// services are the names of all services.
var services = func() []string {
	all, err := catalog.Read("../..")
	if err != nil {
		panic(err)
	}
	return catalog.Names(all)
}()

func TestCommands(t *testing.T) {
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			binary := process.Build(t, service)
			run := func(args ...string) process.Result { return process.Command(t, binary, args) }

			version := run("version")
			require.Zero(t, version.ExitCode)
			require.True(t, strings.HasPrefix(version.Stdout, service+" "))

			config := run("config")
			require.Zero(t, config.ExitCode)
			for _, variable := range []string{"HOST", "PORT", "DATABASE_URL", "LOG_LEVEL", "LOG_FORMAT", "MIGRATE_ON_START", "DRAIN_TIMEOUT"} {
				require.Regexp(t, `(?m)^`+variable+` `, config.Stdout)
			}
			committed, err := os.ReadFile(filepath.Join("..", "..", "services", service, "openapi.yaml"))
			require.NoError(t, err)
			require.Equal(t, string(committed), run("openapi").Stdout)

			for _, wrong := range [][]string{{"serv"}, {"--help"}, {"serve", "now"}} {
				got := run(wrong...)
				require.Equal(t, 2, got.ExitCode)
				require.Contains(t, got.Stderr, "usage: "+service)
			}
		})
	}
}

func TestAllConfigurationErrorsAreReported(t *testing.T) {
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			got := process.Command(t, process.Build(t, service), nil,
				"PORT=eighty", "DATABASE_URL=mysql://root:hunter2@db", "LOG_LEVEL=loud", "DRAIN_TIMEOUT=soon")
			require.Equal(t, 2, got.ExitCode)
			for _, variable := range []string{"PORT must be a whole number", "LOG_LEVEL must be one of debug", "DRAIN_TIMEOUT must be a duration"} {
				require.Contains(t, got.Stderr, variable)
			}
			got = process.Command(t, process.Build(t, service), nil, "DATABASE_URL=mysql://root:hunter2@db")
			require.Equal(t, 2, got.ExitCode)
			require.Contains(t, got.Stderr, "DATABASE_URL must be postgres://")
			require.NotContains(t, got.Stderr+got.Stdout, "hunter2")
		})
	}
	got := process.Command(t, process.Build(t, "order-service"), nil, "USER_SERVICE_URL=ftp://user-service", "PORT=x")
	require.Equal(t, 2, got.ExitCode)
	require.Contains(t, got.Stderr, "USER_SERVICE_URL")
	require.Contains(t, got.Stderr, "PORT")
}

func TestAFailedStartSaysWhy(t *testing.T) {
	binary := process.Build(t, "user-service")
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		env  []string
		says []string
	}{
		"a port that is taken":       {[]string{"PORT=" + port, "DATABASE_URL=sqlite://" + dir + "/a.db"}, []string{port, "address already in use", "PORT"}},
		"a missing folder":           {[]string{"DATABASE_URL=sqlite://" + dir + "/no/a.db"}, []string{dir + "/no/a.db", "no such file or directory", "DATABASE_URL"}},
		"a folder instead of a file": {[]string{"DATABASE_URL=sqlite://" + dir}, []string{dir, "is a directory", "DATABASE_URL"}},
		"an unavailable database":    {[]string{"START_TIMEOUT=0s", "DATABASE_URL=postgres://ada:hunter2@127.0.0.1:1/x"}, []string{"DATABASE_URL", "unavailable", "127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := process.Command(t, binary, nil, c.env...)
			require.Equal(t, 1, got.ExitCode, got.Stderr)
			for _, text := range c.says {
				require.Contains(t, got.Stderr, text)
			}
			require.NotContains(t, got.Stderr+got.Stdout, "hunter2")
		})
	}
}
