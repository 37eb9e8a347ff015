package delivery

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAToolOnPATHIsUsedInThePinnedVersion: a tool on the PATH is used instead of a build, but
// only in the pinned version.
func TestAToolOnPATHIsUsedInThePinnedVersion(t *testing.T) {
	built := strings.TrimSpace(must(t, root, ".ci/tool", "--path", "gotestsum"))
	content, err := os.ReadFile(built)
	require.NoError(t, err)
	folder, cache := t.TempDir(), t.TempDir()
	installed := filepath.Join(folder, "gotestsum")
	require.NoError(t, os.WriteFile(installed, content, 0o700))
	path := func() (out, said string, err error) {
		command := exec.Command(root+"/.ci/tool", "--path", "gotestsum")
		// Without modules, a build would fail at once.
		command.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "XDG_CACHE_HOME="+cache, "GOMODCACHE="+cache, "GOPROXY=off")
		var stderr strings.Builder
		command.Stderr = &stderr
		b, err := command.Output()
		return strings.TrimSpace(string(b)), stderr.String(), err
	}
	found, said, err := path()
	require.NoError(t, err, said)
	require.Equal(t, installed, found)
	require.Empty(t, said)

	// It prints the version, but has no build information of Go.
	require.NoError(t, os.WriteFile(installed, []byte("#!/bin/sh\necho v1.13.0\n"), 0o700))
	_, said, err = path()
	require.Error(t, err)
	require.Regexp(t, `^building gotestsum v[0-9.]+, once`, said)
}
