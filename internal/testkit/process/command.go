package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Result is the result of a command.
type Result struct {
	ExitCode       int
	Stdout, Stderr string
}

// Command runs a binary with arguments and an environment (NAME=value, …), and waits
// for its end.
func Command(t testing.TB, binary string, args []string, env ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = environment(env)
	cmd.Dir = t.TempDir()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return Result{ExitCode: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

// environment returns the environment of a service under test. Its concurrency and rate
// limits are off, because tests keep a machine busy, unless env sets them.
func environment(env []string) []string {
	return append([]string{
		"HOST=127.0.0.1", "PORT=0", "LOG_FORMAT=json", "HOME=" + os.Getenv("HOME"),
		"CONCURRENCY_LIMIT=0", "RATE_LIMIT_READ=0", "RATE_LIMIT_WRITE=0", "RATE_LIMIT_KIB=0", "RATE_LIMIT_BAD_TOKENS=0",
	}, env...)
}
