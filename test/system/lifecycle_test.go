package system

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/process"
)

// inFlight is a request for whose remaining body the service waits.
type inFlight struct {
	conn net.Conn
	rest string
}

func begin(t *testing.T, p *process.Process) *inFlight {
	const body = `{"name":"Ada","email":"ada@example.com"}`
	conn, err := net.Dial("tcp", p.Address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	head := "POST /api/v1/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n"
	_, err = io.WriteString(conn, head)
	require.NoError(t, err)
	// The service requests the body once it has begun to process the request.
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	require.Len(t, body, 40)
	return &inFlight{conn: conn, rest: body}
}

func (r *inFlight) finish(t *testing.T) *http.Response {
	_, err := io.WriteString(r.conn, r.rest)
	require.NoError(t, err)
	reader := bufio.NewReader(r.conn)
	blank, err := reader.Peek(2)
	if err == nil && string(blank) == "\r\n" { // the end of the 100 Continue
		_, err = reader.Discard(2)
	}
	require.NoError(t, err)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func startUsers(t *testing.T, env ...string) *process.Process {
	return process.Start(t, process.Build(t, "user-service"), append([]string{"DATABASE_URL=" + databases["sqlite"](t)}, env...)...)
}

func TestARequestInFlightIsFinishedBeforeTheEnd(t *testing.T) {
	p := startUsers(t, "SHUTDOWN_DELAY=1s")
	request := begin(t, p)
	require.NoError(t, p.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(t.Context(), "/health/ready", http.StatusServiceUnavailable))
	require.NoError(t, p.Wait(t.Context(), "/health/live", http.StatusOK), "the service is not alive while it drains")
	response := request.finish(t)
	require.Equal(t, http.StatusCreated, response.StatusCode)
	require.Equal(t, 0, p.ExitCode(), p.Log())
	for _, step := range []string{`"msg":"stopping"`, `"msg":"draining"`, `"msg":"stopped"`} {
		require.Contains(t, p.Log(), step)
	}
}

func TestConnectionsAreClosedWhileDraining(t *testing.T) {
	p := startUsers(t, "SHUTDOWN_DELAY=1s")
	require.NoError(t, p.Signal(syscall.SIGINT))
	require.NoError(t, p.Wait(t.Context(), "/health/ready", http.StatusServiceUnavailable))
	response, err := http.Get(p.URL + "/health")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.True(t, response.Close, "the answer must have Connection: close")
	require.Equal(t, 0, p.ExitCode())
}

func TestARequestThatNeverEndsIsCutOff(t *testing.T) {
	p := startUsers(t, "DRAIN_TIMEOUT=50ms")
	begin(t, p)
	require.NoError(t, p.Signal(syscall.SIGTERM))
	require.Equal(t, 3, p.ExitCode(), p.Log())
	require.Contains(t, p.Log(), "DRAIN_TIMEOUT")
}

func TestASecondSignalEndsTheServiceAtOnce(t *testing.T) {
	p := startUsers(t)
	begin(t, p)
	require.NoError(t, p.Signal(syscall.SIGTERM))
	apitest.Eventually(t, "the service drains", func() bool { return strings.Contains(p.Log(), `"msg":"draining"`) })
	require.NoError(t, p.Signal(syscall.SIGINT))
	require.Equal(t, 128+int(syscall.SIGINT), p.ExitCode())
}

func TestHealthcheck(t *testing.T) {
	p := startUsers(t)
	check := func() process.Result {
		return process.Command(t, process.Build(t, "user-service"), []string{"healthcheck"}, "PORT="+p.Port())
	}
	got := check()
	require.Zero(t, got.ExitCode, got.Stderr)
	p.Kill()
	require.Equal(t, 1, check().ExitCode)
}

// TestAServiceThatWaitsForItsDatabaseIsAlive: it is not ready, and ends at SIGTERM.
func TestAServiceThatWaitsForItsDatabaseIsAlive(t *testing.T) {
	p, err := process.Launch(process.Build(t, "user-service"), "DATABASE_URL=postgres://ada:hunter2@127.0.0.1:1/x", "START_TIMEOUT=10m")
	require.NoError(t, err)
	defer p.Kill()
	require.NoError(t, p.Wait(t.Context(), "/health/live", http.StatusOK))
	require.NoError(t, p.Wait(t.Context(), "/health/ready", http.StatusServiceUnavailable))
	require.NoError(t, p.Wait(t.Context(), "/api/v1/users", http.StatusServiceUnavailable))
	require.NoError(t, p.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.ExitCode(), p.Log())
	require.NotContains(t, p.Log(), "hunter2")
}

// TestARemovedDatabaseFileMakesTheServiceUnready: the service is no longer ready, because later
// writes would be lost.
func TestARemovedDatabaseFileMakesTheServiceUnready(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	p := process.Start(t, process.Build(t, "user-service"), "DATABASE_URL=sqlite://"+path)
	require.NoError(t, os.Remove(path))
	require.NoError(t, p.Wait(t.Context(), "/health/ready", http.StatusServiceUnavailable))
}
