package postgres

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// childrenOf returns the ids of a process's children. It reads /proc, because a small
// container may lack ps.
func childrenOf(parent int) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var children []int
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		// proc(5): pid (comm) state ppid …; comm may contain spaces and parentheses.
		_, rest, found := bytes.Cut(content[bytes.LastIndexByte(content, ')'):], []byte(") "))
		fields := bytes.Fields(rest)
		if !found || len(fields) < 2 {
			return nil, fmt.Errorf("unexpected %s", file)
		}
		if string(fields[1]) != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		children = append(children, pid)
	}
	return children, nil
}
