package main

import (
	"bufio"
	"bytes"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// envMain makes the test binary behave like the program.
const envMain = "TEST_WITH_POSTGRES_MAIN"

const limit = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(envMain) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// program returns the program, to run with args.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.Command(self, args...)
	// The race detector makes a program take a second to exit.
	command.Env = append(os.Environ(), envMain+"=1", "GORACE=atexit_sleep_ms=0")
	return command
}

func TestCommandGetsTheServersURLAndItsExitCodeCounts(t *testing.T) {
	command := program(t, "--", "sh", "-c", `echo "$TEST_POSTGRES_URL"; exit 7`)
	out, err := command.Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 7, exit.ExitCode())
	require.Regexp(t, `^postgres://postgres@127\.0\.0\.1:\d+/postgres\?`, string(out))
	requireNobodyListens(t, strings.TrimSpace(string(out)))
}

func TestOwnFailuresHaveTheirOwnExitCode(t *testing.T) {
	for name, args := range map[string][]string{
		"no command":      {"--"},
		"unknown flag":    {"-unknown"},
		"unknown command": {"--", filepath.Join(t.TempDir(), "missing")},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			command := program(t, args...)
			command.Stderr = &stderr
			require.Error(t, command.Run())
			require.Equal(t, exitOwn, command.ProcessState.ExitCode())
			require.Contains(t, stderr.String(), "with-postgres: ")
		})
	}
}

func TestSignalReachesTheCommandAndTheServerIsStopped(t *testing.T) {
	command, url := running(t)
	require.NoError(t, command.Process.Signal(syscall.SIGTERM))
	require.Error(t, command.Wait())
	require.Equal(t, 128+int(syscall.SIGTERM), command.ProcessState.ExitCode())
	requireNobodyListens(t, url)
}

func TestServerIsRemovedWhenTheProgramIsKilled(t *testing.T) {
	command, url := running(t)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	var data string
	require.NoError(t, conn.QueryRow(t.Context(), "SHOW data_directory").Scan(&data))

	require.NoError(t, command.Process.Kill())
	require.Error(t, command.Wait())
	// The server's end shows on an open connection. The folder's removal must be polled;
	// limit only ends a test that has failed.
	_, err = conn.Exec(t.Context(), "SELECT pg_sleep(60)")
	require.Error(t, err)
	conn.Close(t.Context())
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Dir(data))
		return os.IsNotExist(err)
	}, limit, limit/1000, "%s is still there", filepath.Dir(data))
}

// running starts the program with a long command, and returns it with the server's URL
// when the command runs.
func running(t *testing.T) (*exec.Cmd, string) {
	t.Helper()
	command := program(t, "--", "sh", "-c", `echo "$TEST_POSTGRES_URL"; exec cat`)
	stdin, err := command.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() { stdin.Close() })
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return command, strings.TrimSpace(line)
}

func requireNobodyListens(t *testing.T, rawURL string) {
	t.Helper()
	parsed, err := url.Parse(rawURL)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", parsed.Host)
	if err == nil {
		conn.Close()
	}
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}
