package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

// TestInterruptedImagesLeaveNothing: Ctrl-C reaches make, ko and go at once, and ko kills go
// before go removes its temporary files.
func TestInterruptedImagesLeaveNothing(t *testing.T) {
	server := newRegistry(t)
	temporary := t.TempDir()
	command := exec.CommandContext(t.Context(), ".ci/images")
	command.Dir = root
	command.Env = append(os.Environ(), "REGISTRY="+server, "BASE_IMAGE="+pushedBase(t, server), "TMPDIR="+temporary,
		// A version that is not in the build cache.
		"VERSION="+filepath.Base(filepath.Dir(temporary)))
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, command.Start())
	apitest.Eventually(t, "go builds", func() bool {
		all, err := filepath.Glob(filepath.Join(temporary, "go-build*"))
		require.NoError(t, err)
		own, err := filepath.Glob(filepath.Join(temporary, "*", "go-build*"))
		require.NoError(t, err)
		return len(all)+len(own) > 0
	})
	require.NoError(t, syscall.Kill(-command.Process.Pid, syscall.SIGINT))
	require.Error(t, command.Wait())
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
}
