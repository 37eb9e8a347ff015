package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	programs "github.com/example/microservices/internal/testkit/process"
)

func TestSettingsHaveDefaults(t *testing.T) {
	s, err := settingsFrom(two(t), func(string) string { return "" })
	require.NoError(t, err)
	here, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, settingsOf(t, 8000, 8001, filepath.Join(here, "data")), s)
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		variables map[string]string
		message   string
	}{
		"no number":  {map[string]string{"USER_PORT": "http"}, `USER_PORT must be a port from 1 to 65535, not "http"`},
		"zero":       {map[string]string{"ORDER_PORT": "0"}, `ORDER_PORT must be a port from 1 to 65535, not "0"`},
		"too big":    {map[string]string{"ORDER_PORT": "65536"}, `ORDER_PORT must be a port from 1 to 65535, not "65536"`},
		"maybe":      {map[string]string{"AUTH": "maybe"}, `AUTH must be on or off, not "maybe"`},
		"both alike": {map[string]string{"USER_PORT": "8001"}, `USER_PORT and ORDER_PORT are both 8001: choose another for one of them`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := settingsFrom(two(t), func(name string) string { return test.variables[name] })
			require.EqualError(t, err, test.message)
		})
	}
}

func TestATakenPortIsReportedInOneLine(t *testing.T) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	_, taken, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	port, err := strconv.Atoi(taken)
	require.NoError(t, err)

	s := settingsOf(t, port, freePort(t), t.TempDir())
	err = s.check(t.Context())
	require.ErrorContains(t, err, "user-service can't listen on 127.0.0.1:"+taken+": address already in use; choose another port: make run USER_PORT=")
	require.NotContains(t, err.Error(), "\n")

	s.ports[userService], s.ports[orderService] = s.ports[orderService], s.ports[userService]
	err = s.check(t.Context())
	require.ErrorContains(t, err, "order-service can't listen on 127.0.0.1:"+taken)
	require.ErrorContains(t, err, "make run ORDER_PORT=")
}

func TestDataFolderIsCreated(t *testing.T) {
	s := settingsOf(t, freePort(t), freePort(t), filepath.Join(t.TempDir(), "new", "data"))
	require.NoError(t, s.check(t.Context()))
	entries, err := os.ReadDir(s.dataDir)
	require.NoError(t, err)
	require.Empty(t, entries, "the check leaves nothing behind")
}

func TestAnUnwritableDataFolderIsReportedInOneLine(t *testing.T) {
	// Not with permissions, which root in a container ignores.
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "order-service.db"), 0o700))
	for name, test := range map[string]struct{ dataDir, message string }{
		"a file":              {file, "can't write to the data folder " + file + ": not a directory; "},
		"below a file":        {filepath.Join(file, "data"), "can't write to the data folder " + filepath.Join(file, "data") + ": not a directory; "},
		"database unwritable": {dir, "can't write to the database " + filepath.Join(dir, "order-service.db") + ": is a directory; "},
	} {
		t.Run(name, func(t *testing.T) {
			s := settingsOf(t, freePort(t), freePort(t), test.dataDir)
			err := s.check(t.Context())
			require.ErrorContains(t, err, test.message)
			require.ErrorContains(t, err, "make run DATA_DIR=/path/to/folder")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestEnvironmentKeepsStrayVariablesOut(t *testing.T) {
	s := settingsOf(t, 1, 2, "/d")
	environment := s.environment(two(t)[1], []string{
		"PATH=/bin", "LOG_LEVEL=debug", "LOG_FORMAT=json", "USER_CLIENT_TIMEOUT=1s", "READINESS_USER_SERVICE=",
		"DATABASE_URL=postgres://elsewhere", "PORT=9", "HOST=0.0.0.0", "USER_SERVICE_URL=http://elsewhere", "TOKEN=secret",
		"USER_DATABASE_URL=postgres://users",
	})
	require.Equal(t, []string{
		"LOG_FORMAT=text", "DATABASE_URL=sqlite:///d/order-service.db", "PATH=/bin", "LOG_LEVEL=debug", "LOG_FORMAT=json", "USER_CLIENT_TIMEOUT=1s",
		"HOST=127.0.0.1", "PORT=2", "USER_SERVICE_URL=http://127.0.0.1:1",
	}, environment, "of two values for one name, the later one counts")
}

func TestEachServiceHasItsOwnDatabase(t *testing.T) {
	environ := []string{"USER_DATABASE_URL=postgres://users", "ORDER_DATABASE_URL=postgres://orders", "ORDER_ADMIN_PORT=9001"}
	s := settingsOf(t, 1, 2, "/d")
	require.Equal(t, []string{
		"LOG_FORMAT=text", "DATABASE_URL=sqlite:///d/order-service.db", "DATABASE_URL=postgres://orders", "ADMIN_PORT=9001",
		"HOST=127.0.0.1", "PORT=2", "USER_SERVICE_URL=http://127.0.0.1:1",
	}, s.environment(s.services[1], environ))
}

// TestEveryVariableIsPassedOrNamed: make run passes a service's new setting on, or prints a
// message that it doesn't.
func TestEveryVariableIsPassedOrNamed(t *testing.T) {
	s := settingsOf(t, 1, 2, "/d")
	for _, service := range s.services {
		settings, err := exec.Command(programs.Build(t, service.Name), "config").Output()
		require.NoError(t, err)
		names := regexp.MustCompile(`(?m)^[A-Z][A-Z0-9_]+\b`).FindAllString(string(settings), -1)
		require.Greater(t, len(names), 40)
		for _, name := range names {
			if name == "VARIABLE" || isPassed(name) {
				continue
			}
			lines := s.dropped([]string{name}, nil)
			require.Len(t, lines, 1, name)
			require.NotContains(t, lines[0], "neither", "%s is a setting of %s: add it to passed or own", name, service.Name)
		}
	}
	require.Empty(t, s.dropped([]string{"USER_PORT", "DATA_DIR", "AUTH", "LOG_LEVEL", "RATE_LIMIT_EMAIL", "ORDER_PPROF"}, []string{"EDITOR=vi", "HOST=here", "PORT="}))
	require.Equal(t, []string{
		"DATABASE_URL is not passed on: each service has its own, USER_DATABASE_URL, ORDER_DATABASE_URL",
		"DATADIR is not passed on: neither make run nor a service reads it",
		"USER_SERVICE_URL is not passed on: make run sets it",
	}, s.dropped([]string{"USER_SERVICE_URL", "DATADIR"}, []string{"DATABASE_URL=postgres://elsewhere"}))
}

func TestLinesStayWhole(t *testing.T) {
	var written strings.Builder
	out := newOutput(&written, false)
	user, order := out.lines(userService, 36), out.lines(orderService, 35)
	for _, part := range []struct {
		to   *lineWriter
		text string
	}{{user, "one "}, {order, "two\nthree"}, {user, "line\n\n"}, {user, "no end"}} {
		_, err := part.to.Write([]byte(part.text))
		require.NoError(t, err)
	}
	order.flush()
	user.flush()
	user.flush()
	require.Equal(t, "order-service | two\nuser-service  | one line\nuser-service  | \norder-service | three\nuser-service  | no end\n", written.String())
}

func TestEndlessLineIsCut(t *testing.T) {
	var written strings.Builder
	lines := newOutput(&written, false).lines(userService, 36)
	_, err := lines.Write([]byte(strings.Repeat("x", maxLine)))
	require.NoError(t, err)
	require.Equal(t, "user-service  | "+strings.Repeat("x", maxLine)+"\n", written.String())
}

func TestColorIsOnlyForTerminals(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	require.False(t, onTerminal(file))

	var written strings.Builder
	lines := newOutput(&written, true).lines(userService, 36)
	_, err = lines.Write([]byte("hello\n"))
	require.NoError(t, err)
	require.Equal(t, "\x1b[36muser-service  | \x1b[0mhello\n", written.String())
}
