package system

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
)

// TestOutputThatCantBeWrittenIsAFailure: a command fails if it can't write its output.
func TestOutputThatCantBeWrittenIsAFailure(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	for _, command := range []string{"config", "openapi", "version"} {
		cmd := exec.Command(process.Build(t, "user-service"), command)
		cmd.Stdout = full
		require.Error(t, cmd.Run(), command)
		require.Equal(t, 1, cmd.ProcessState.ExitCode(), command)
	}
}

// TestAnUnreadLogBlocksNothing: the service answers requests, and stops at SIGTERM,
// although the pipe of its log is full.
func TestAnUnreadLogBlocksNothing(t *testing.T) {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer reader.Close()
	cmd := exec.Command(process.Build(t, "user-service"))
	cmd.Env = []string{"HOST=127.0.0.1", "PORT=0", "LOG_FORMAT=json", "RATE_LIMIT_READ=0", "DATABASE_URL=sqlite://" + filepath.Join(t.TempDir(), "test.db")}
	cmd.Stdout = writer
	require.NoError(t, cmd.Start())
	require.NoError(t, writer.Close())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var line struct{ Msg, Address string }
	for lines := bufio.NewScanner(reader); line.Msg != "serving"; {
		require.True(t, lines.Scan())
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
	}
	// More lines, of about 250 bytes each, than the pipe (64 KiB) and the service's own buffer
	// (1 MiB) can hold.
	client := httpClient(t)
	for range 6000 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+line.Address+"/api/v1/users", http.NoBody)
		require.NoError(t, err)
		response, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
}
