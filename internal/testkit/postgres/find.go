package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// MinVersion is the oldest major version of PostgreSQL that [Find] accepts.
const MinVersion = 14

// ErrNotInstalled means that no usable PostgreSQL was found. Its text says what to do.
var ErrNotInstalled = errors.New("no PostgreSQL " + strconv.Itoa(MinVersion) + " or newer on this machine: install it " +
	"(Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql) or set TEST_POSTGRES_URL to a server's URL")

// places are where packages install PostgreSQL's server programs. Debian and macOS keep
// them out of PATH, because several versions can be installed.
var places = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // Fedora, RHEL (postgresql.org packages)
	"/opt/homebrew/opt/postgresql*/bin",                  // Homebrew on Apple silicon
	"/usr/local/opt/postgresql*/bin",                     // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",     // Homebrew on Linux
	"/Library/PostgreSQL/*/bin",                          // postgresql.org installer on macOS
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	"/usr/lib/postgresql/bin",                            // Arch, Alpine variants
	"/usr/libexec/postgresql*",                           // Alpine
}

// Installation is a folder with PostgreSQL's server programs.
type Installation struct {
	// Bin is the folder with initdb and postgres.
	Bin string
	// Major is the major version, such as 17.
	Major int
}

// Find returns the newest PostgreSQL on this machine, from PATH or from where packages
// install it. It returns [ErrNotInstalled] if none has at least [MinVersion].
func Find(ctx context.Context) (Installation, error) {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// The target of a link in /usr/local/bin: initdb may not be linked beside it.
		if target, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(target))
		}
	}
	for _, pattern := range places {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return Installation{}, fmt.Errorf("look in %s: %w", pattern, err)
		}
		dirs = append(dirs, found...)
	}
	var best Installation
	for _, dir := range dirs {
		major, err := inspect(ctx, dir)
		if err != nil {
			continue // not a usable installation; another place may have one
		}
		if major > best.Major {
			best = Installation{Bin: dir, Major: major}
		}
	}
	if best.Major < MinVersion {
		return Installation{}, ErrNotInstalled
	}
	return best, nil
}

// versionLine matches "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
// and "18beta1" as well.
var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// inspect returns the major version of the programs in dir.
func inspect(ctx context.Context, dir string) (int, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, err
	}
	match := versionLine.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("unexpected answer to --version: %q", out)
	}
	return strconv.Atoi(string(match[1]))
}
