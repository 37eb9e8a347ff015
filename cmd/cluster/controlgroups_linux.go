package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// controlGroups returns the paths of the cluster's control groups: one in each hierarchy of
// cgroup v1, or a single one in v2.
func controlGroups() ([]string, error) {
	const mount = "/sys/fs/cgroup"
	_, err := os.Stat(mount + "/cgroup.controllers")
	if err == nil {
		return []string{filepath.Join(mount, controlGroup)}, nil
	}
	entries, err := os.ReadDir(mount)
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, entry := range entries {
		if entry.IsDir() {
			groups = append(groups, filepath.Join(mount, entry.Name(), controlGroup))
		}
	}
	return groups, nil
}

func makeControlGroups() error {
	groups, err := controlGroups()
	if err != nil {
		return err
	}
	for _, group := range groups {
		err = enableControllers(filepath.Dir(group))
		if err != nil {
			return err
		}
		err = os.MkdirAll(group, 0o755)
		if err != nil {
			return err
		}
		err = inheritSets(group)
		if err != nil {
			return err
		}
		err = weigh(group)
		if err != nil {
			return err
		}
	}
	return nil
}

// enableControllers enables all of parent's controllers for its child groups in cgroup v2:
// the kubelet needs them all, and systemd enables only those of its units.
func enableControllers(parent string) error {
	controllers, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // cgroup v1
	}
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(controllers)) {
		err = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0o600)
		if err != nil {
			return fmt.Errorf("enable %s for control groups: %w", controller, err)
		}
	}
	return nil
}

// inheritSets copies the parent's processors and memory nodes to a new group of cgroup v1's
// cpuset, which starts without any.
func inheritSets(group string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		set, err := os.ReadFile(filepath.Join(filepath.Dir(group), file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = os.WriteFile(filepath.Join(group, file), set, 0o600)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// weigh gives a group eight times the default weight of processor time. In cgroup v1 the
// default is that of a single process outside: the tests and tools beside the cluster would
// stop the pods for seconds.
func weigh(group string) error {
	for file, weight := range map[string]string{"cpu.shares": "8192", "cpu.weight": "800"} { // cgroup v1, v2
		path := filepath.Join(group, file)
		_, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = os.WriteFile(path, []byte(weight), 0o600)
		if err != nil {
			return err
		}
	}
	return nil
}

// removeControlGroups removes the groups and their child groups, which must have no
// processes.
func removeControlGroups() error {
	groups, err := controlGroups()
	if err != nil {
		return err
	}
	for _, group := range groups {
		var folders []string
		err = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for i := len(folders) - 1; i >= 0; i-- {
			err = os.Remove(folders[i])
			if err != nil {
				return fmt.Errorf("a control group of the cluster: %w", err)
			}
		}
	}
	return nil
}
