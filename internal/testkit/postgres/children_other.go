//go:build !linux

package postgres

import (
	"os/exec"
	"strconv"
	"strings"
)

// childrenOf returns the ids of a process's children, as ps lists them.
func childrenOf(parent int) ([]int, error) {
	out, err := exec.Command("ps", "-A", "-o", "ppid=,pid=").Output()
	if err != nil {
		return nil, err
	}
	var children []int
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || fields[0] != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, err
		}
		children = append(children, pid)
	}
	return children, nil
}
