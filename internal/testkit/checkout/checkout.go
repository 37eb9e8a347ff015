// Package checkout makes copies of the project for tests that change it.
package checkout

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// New copies the project at root, including uncommitted changes, into a new git
// repository with one commit on main, and returns its folder.
func New(t testing.TB, root string) string {
	t.Helper()
	folder := t.TempDir()
	must(t, root, "bash", "-euo", "pipefail", "-c", `git ls-files --cached --others --exclude-standard -z |
		xargs -0 ls -d 2>/dev/null | tar --create --files-from=- | tar --extract --directory "$0"`, folder)
	must(t, folder, "git", "init", "--quiet", "--initial-branch=main")
	for _, setting := range [][2]string{
		{"user.name", "Test"}, {"user.email", "test@example.com"}, {"commit.gpgsign", "false"}, {"core.hooksPath", "/dev/null"},
	} {
		must(t, folder, "git", "config", setting[0], setting[1])
	}
	must(t, folder, "git", "add", "--all")
	must(t, folder, "git", "commit", "--quiet", "--message", "Begin")
	return folder
}

// Environ is os.Environ for commands in a copy. With -trimpath, Go's build cache doesn't
// depend on the folder, so the next copy can use it.
func Environ() []string {
	return append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath")
}

func must(t testing.TB, folder, program string, arguments ...string) {
	t.Helper()
	command := exec.Command(program, arguments...)
	command.Dir = folder
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s %s\n%s", program, strings.Join(arguments, " "), out)
}
