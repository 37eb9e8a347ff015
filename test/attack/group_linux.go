package attack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// group is a control group that limits a process's memory.
type group struct{ dir string }

// confine puts a process into its own group. It returns nil if it can't create one:
// without root, or on a system without control groups.
func confine(pid int, limit int64) (*group, error) {
	for parent, file := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		if _, err := os.Stat(filepath.Join(parent, "cgroup.procs")); err != nil {
			continue
		}
		g := &group{filepath.Join(parent, fmt.Sprintf("attacked-%d", pid))}
		err := os.Mkdir(g.dir, 0o755)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrInvalid) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		err = os.WriteFile(filepath.Join(g.dir, file), []byte(strconv.FormatInt(limit, 10)), 0o644)
		if err == nil {
			err = os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
		}
		if err != nil {
			return nil, g.remove()
		}
		return g, nil
	}
	return nil, nil
}

// remove removes the group once the process has ended.
func (g *group) remove() error {
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	var err error
	for range 100 {
		err = os.Remove(g.dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		<-retry.C
	}
	return err
}
