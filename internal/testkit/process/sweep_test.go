package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBinariesOfEndedRunsAreRemoved: those of running tests, and other files, stay.
func TestBinariesOfEndedRunsAreRemoved(t *testing.T) {
	ended := exec.CommandContext(t.Context(), "true")
	require.NoError(t, ended.Run())
	dir := t.TempDir()
	stays := map[string]bool{fmt.Sprintf("order-service-%d", os.Getpid()): true, "notes": true, "a-b": true, fmt.Sprintf("order-service-%d", ended.Process.Pid): false}
	for name := range stays {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	sweep(dir)
	for name, want := range stays {
		_, err := os.Stat(filepath.Join(dir, name))
		require.Equal(t, want, err == nil, name)
	}
}
