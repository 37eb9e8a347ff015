package argocd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/checkout"
)

// Repository is a fork of the project, served by git on the loopback address.
type Repository struct {
	// URL is the git URL.
	URL string

	// bare is the served repository, folder the checkout for commits.
	bare, folder string
	mu           sync.Mutex
}

// NewRepository serves a fork of the project, including uncommitted changes. It
// configures the fork like an owner: make configure REPO=its URL.
func NewRepository(t testing.TB, root string) *Repository {
	t.Helper()
	port := freePort(t)
	served := t.TempDir()
	r := &Repository{
		URL: fmt.Sprintf("git://127.0.0.1:%d/microservices.git", port), bare: filepath.Join(served, "microservices.git"),
		folder: checkout.New(t, root),
	}
	r.git(t, "init", "--quiet", "--bare", "--initial-branch=main", r.bare)
	r.git(t, "remote", "add", "origin", r.bare)
	r.must(t, "", ".ci/configure", "REPO="+r.URL)
	r.git(t, "commit", "--quiet", "--all", "--message", "Fork")
	r.git(t, "push", "--quiet", "origin", "main")
	// Not through git: the daemon would be git's child, and survive when the test is
	// killed.
	daemon := filepath.Join(r.git(t, "--exec-path"), "git-daemon")
	start(t, "git daemon", os.Environ(), daemon, "--reuseaddr", "--export-all", "--listen=127.0.0.1", fmt.Sprintf("--port=%d", port), "--base-path="+served, served)
	require.Eventually(t, func() bool { return listens(port) }, time.Minute, 50*time.Millisecond, "git daemon listens")
	return r
}

// Change commits to a branch and pushes it; it creates a missing branch from main. change
// edits the checkout in folder. It may commit itself, as .ci/promote does. Change returns
// the commit.
func (r *Repository) Change(t testing.TB, branch, message string, change func(folder string)) string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.try("", "git", "switch", "--quiet", branch); err != nil {
		r.git(t, "switch", "--quiet", "--create", branch, "main")
	}
	change(r.folder)
	if r.git(t, "status", "--porcelain") != "" {
		r.git(t, "add", "--all")
		r.git(t, "commit", "--quiet", "--message", message)
	}
	r.git(t, "push", "--quiet", "origin", branch)
	return r.git(t, "rev-parse", "HEAD")
}

// Tag tags a branch, and pushes the tag.
func (r *Repository) Tag(t testing.TB, branch, tag string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.git(t, "tag", tag, branch)
	r.git(t, "push", "--quiet", "origin", tag)
}

// PushTag pushes a tag made by a change, and returns its commit.
func (r *Repository) PushTag(t testing.TB, tag string) string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.git(t, "push", "--quiet", "origin", tag)
	return r.git(t, "rev-parse", tag+"^{commit}")
}

// Contains reports whether commit is earlier or a descendant of it.
func (r *Repository) Contains(commit, earlier string) bool {
	_, err := r.try("", "git", "merge-base", "--is-ancestor", earlier, commit)
	return err == nil
}

// Edit replaces the first occurrence of old in a file. It fails the test if there is
// none.
func Edit(t testing.TB, file, old, by string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), old, file)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), old, by, 1)), 0o600))
}

func (r *Repository) git(t testing.TB, arguments ...string) string {
	t.Helper()
	return r.must(t, "", "git", arguments...)
}

func (r *Repository) must(t testing.TB, stdin, program string, arguments ...string) string {
	t.Helper()
	out, err := r.try(stdin, program, arguments...)
	require.NoError(t, err, "%s %s\n%s", program, strings.Join(arguments, " "), out)
	return out
}

func (r *Repository) try(stdin, program string, arguments ...string) (string, error) {
	command := exec.Command(program, arguments...)
	command.Dir = r.folder
	command.Stdin = strings.NewReader(stdin)
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
