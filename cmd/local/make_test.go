package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// makeRun prepares `make run` with the real services on free ports.
func makeRun(t *testing.T, dataDir string) (*exec.Cmd, settings) {
	t.Helper()
	s := settingsOf(t, freePort(t), freePort(t), dataDir)
	command := exec.Command("make", "run",
		fmt.Sprint("USER_PORT=", s.ports[userService]), fmt.Sprint("ORDER_PORT=", s.ports[orderService]), "DATA_DIR="+s.dataDir)
	command.Dir = "../.."
	// Otherwise this one would be a sub-make of `make test`.
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "MAKE") || strings.HasPrefix(variable, "MFLAGS=")
	})
	// A separate process group, to signal it like a terminal's Ctrl-C.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return command, s
}

func TestMakeRunStartsTheRealServicesAndCtrlCStopsThem(t *testing.T) {
	command, s := makeRun(t, t.TempDir())
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		if command.ProcessState == nil { // the test has failed half-way
			_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
			_ = command.Wait()
		}
	})

	lines := bufio.NewScanner(stdout)
	var printed strings.Builder
	for lines.Scan() {
		fmt.Fprintln(&printed, lines.Text())
		if !strings.Contains(lines.Text(), "Ctrl-C stops them") {
			continue
		}
		for _, service := range []string{userService, orderService} {
			require.NoError(t, ready(t.Context(), "http://"+s.address(service)+"/health/ready"))
		}
		require.NoError(t, syscall.Kill(-command.Process.Pid, syscall.SIGINT))
	}
	require.NoError(t, lines.Err())
	// An interrupted make has no exit code of its own. It prints no error if the runner
	// exits with 0.
	_ = command.Wait()
	require.NotContains(t, stderr.String(), "Error")
	require.Contains(t, printed.String(), "Ctrl-C stops them", stderr.String())
	for _, service := range []string{userService, orderService} {
		require.Contains(t, printed.String(), fmt.Sprintf("%-13s | ", service))
		require.Error(t, ready(t.Context(), "http://"+s.address(service)+"/health/ready"), "%s still runs", service)
	}
}

func TestMakeRunReportsAnObstacleInOneLine(t *testing.T) {
	command, s := makeRun(t, "/dev/null/data")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	require.Error(t, command.Run())
	own, makes, _ := strings.Cut(stderr.String(), "\n")
	require.Equal(t, "can't write to the data folder "+s.dataDir+": not a directory; choose another: make run DATA_DIR=/path/to/folder", own)
	require.Regexp(t, `^make: \*\*\* \[.*run\] Error 1\n$`, makes, "make adds a line with the exit code")
}
