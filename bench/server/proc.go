package server

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/<pid>/stat: a hundredth of a second
// wherever Linux runs (sysconf(_SC_CLK_TCK)).
const tick = 10 * time.Millisecond

// TreeCPU returns the CPU time of a process and of its children, including ended ones.
func TreeCPU(pid int) (time.Duration, error) {
	parent, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	own, err := CPU(pid)
	if err != nil {
		return 0, err
	}
	total := own + parent.reaped
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range processes {
		child, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return 0, err
		}
		s, err := readStat(child)
		if err != nil || s.parent != pid { // an error means that it has just ended
			continue
		}
		used, err := CPU(child)
		if err == nil {
			total += used
		}
	}
	return total, nil
}

// Parent returns the id of the process's parent.
func Parent(pid int) (int, error) {
	s, err := readStat(pid)
	return s.parent, err
}

type stat struct {
	parent int
	// reaped is the time of its ended children.
	reaped time.Duration
}

// readStat reads /proc/<pid>/stat (proc(5)).
func readStat(pid int) (stat, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The second field is the program's name in parentheses, which may contain anything.
	_, rest, _ := strings.Cut(string(content[bytes.LastIndexByte(content, ')')+1:]), " ")
	fields := strings.Fields(rest) // from the third field on
	if len(fields) < 15 {
		return stat{}, errors.New("/proc/<pid>/stat has an unexpected form")
	}
	var numbers [3]int64
	for i, field := range []int{4, 16, 17} {
		numbers[i], err = strconv.ParseInt(fields[field-3], 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("/proc/<pid>/stat: %w", err)
		}
	}
	return stat{parent: int(numbers[0]), reaped: time.Duration(numbers[1]+numbers[2]) * tick}, nil
}

// Memory is the memory of a process, in bytes.
type Memory struct {
	// Resident is all of it (VmRSS), Anonymous the part that belongs to no file, and Peak the
	// maximum of Resident.
	Resident, Anonymous, Peak int64
}

// ReadMemory reads /proc/<pid>/status.
func ReadMemory(pid int) (Memory, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, err
	}
	defer file.Close()
	var m Memory
	wanted := map[string]*int64{"VmRSS": &m.Resident, "RssAnon": &m.Anonymous, "VmHWM": &m.Peak}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		field, ok := wanted[name]
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("/proc/<pid>/status: %w", err)
		}
		*field = kib << 10
	}
	return m, lines.Err()
}
