package postgres

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account returns the user that runs the server: nil for the user of the tests, or an
// unprivileged one if that is root, because PostgreSQL refuses to run as root. Containers
// and CI often do.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
}

// makeDir creates a temporary folder owned by who (nil: the caller).
func makeDir(parent string, who *syscall.Credential) (string, error) {
	if parent == "" {
		parent = os.TempDir()
		if who != nil && !reachable(parent) {
			parent = "/tmp" // root's TMPDIR may be closed to other users
		}
	}
	dir, err := os.MkdirTemp(parent, "postgres-test-")
	if err != nil {
		return "", err
	}
	if who == nil {
		return dir, nil
	}
	err = os.Chown(dir, int(who.Uid), int(who.Gid))
	if err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

// reachable reports whether every user may enter dir and its parents.
func reachable(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
}
