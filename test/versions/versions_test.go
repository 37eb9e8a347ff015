// Package versions tests that a version of the services and the previous one can run at the
// same time, as they do in every rollout and after a rollback. The file "previous" has the tag
// or the commit of the previous version.
package versions

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/checkout"
)

const root = "../.."

// TestThePreviousVersionOnTheNewSchema runs the old services' old tests after the new migrations,
// and order-service's with the new user-service.
func TestThePreviousVersionOnTheNewSchema(t *testing.T) {
	t.Parallel()
	before := previous(t)
	for _, file := range newMigrations(t, before) {
		sql, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(before, file), sql, 0o600))
	}
	runAPITests(t, before, binaries(t, root))
}

// TestTheNewVersionOnTheOldSchema runs the tests of the services without the
// new migrations, and order-service's with the old user-service.
func TestTheNewVersionOnTheOldSchema(t *testing.T) {
	t.Parallel()
	before := previous(t)
	absolute, err := filepath.Abs(root)
	require.NoError(t, err)
	without := map[string]string{} // go help build: an empty path removes a file
	for _, file := range newMigrations(t, before) {
		without[filepath.Join(absolute, file)] = ""
	}
	overlay, err := json.Marshal(map[string]any{"Replace": without})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(file, overlay, 0o600))
	// The whole API works without the new indexes, only more slowly.
	runAPITests(t, root, binaries(t, before), "-overlay="+file, "-skip=^TestAPageReadsOnlyItsRows$")
}

// previous returns a folder with the source of the previous version.
func previous(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("previous")
	require.NoError(t, err)
	version, folder := strings.TrimSpace(string(name)), t.TempDir()
	run(t, root, nil, "bash", "-euo", "pipefail", "-c", `git cat-file -e "$0^{commit}" || {
			echo "the repository lacks $0, the previous version: fetch its history and tags, or name another in test/versions/previous"
			exit 1
		}
		git archive "$0" | tar --extract --directory "$1"`, version, folder)
	return folder
}

// newMigrations returns the migrations that the previous version lacks.
func newMigrations(t *testing.T, before string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "services/*/internal/store/*/migrations/*.sql"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var added []string
	for _, file := range files {
		name, err := filepath.Rel(root, file)
		require.NoError(t, err)
		_, err = os.Stat(filepath.Join(before, filepath.Dir(name)))
		if os.IsNotExist(err) {
			continue // the previous version had no such service
		}
		now, err := os.ReadFile(file)
		require.NoError(t, err)
		then, err := os.ReadFile(filepath.Join(before, name))
		if os.IsNotExist(err) {
			added = append(added, name)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, statements(then), statements(now), "%s has already run: put the change into a new migration", name)
	}
	return added
}

// statements returns a migration without its comments, which may be reworded.
func statements(migration []byte) string {
	return regexp.MustCompile(`(?m)^\s*--( [^+\n].*)?\n`).ReplaceAllString(string(migration), "")
}

// binaries builds the services of a tree, and returns the folder of the binaries.
func binaries(t *testing.T, tree string) string {
	t.Helper()
	folder := t.TempDir()
	run(t, tree, nil, "go", "build", "-o", folder, "./services/...")
	return folder
}

// runAPITests runs a tree's tests of the services with the binaries of another tree.
func runAPITests(t *testing.T, tree, others string, flags ...string) {
	t.Helper()
	run(t, tree, []string{"TEST_BINARIES=" + others}, "go", append(append([]string{"test", "-count=1"}, flags...), "./services/...")...)
}

func run(t *testing.T, folder string, env []string, program string, arguments ...string) {
	t.Helper()
	out, err := try(t, folder, env, program, arguments...)
	require.NoError(t, err, "%s %s, in %s\n%s", program, strings.Join(arguments, " "), folder, out)
}

func output(t *testing.T, folder, program string, arguments ...string) string {
	t.Helper()
	out, err := try(t, folder, nil, program, arguments...)
	require.NoError(t, err, out)
	return out
}

func try(t *testing.T, folder string, env []string, program string, arguments ...string) (out string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, arguments...)
	command.Dir, command.Env = folder, append(checkout.Environ(), env...)
	said, err := command.CombinedOutput()
	return string(said), err
}
