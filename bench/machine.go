package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/example/microservices/bench/pg"
)

// describeMachine says in Markdown what was measured, where and when.
func describeMachine(ctx context.Context, l *lab) string {
	var b strings.Builder
	line := func(what, value string) {
		if value != "" {
			fmt.Fprintf(&b, "- %s: %s\n", what, value)
		}
	}
	line("Date", time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	line("Commit", output(ctx, "git", "describe", "--always", "--dirty"))
	line("Processor", fmt.Sprintf("%s, %d cores", field("/proc/cpuinfo", "model name"), runtime.NumCPU()))
	line("Memory", field("/proc/meminfo", "MemTotal"))
	line("System", strings.Trim(field("/etc/os-release", "PRETTY_NAME"), `"`)+", Linux "+content("/proc/sys/kernel/osrelease"))
	line("Disk", output(ctx, "df", "--output=source,fstype", l.dir))
	line("Load average at the start (1, 5, 15 minutes, …)", content("/proc/loadavg"))
	line("Go", runtime.Version())
	program, err := pg.Program(ctx, "postgres")
	if err == nil {
		line("PostgreSQL", output(ctx, program, "--version"))
	}
	return b.String()
}

// idleShare returns the share of the processors' time that nobody uses while
// it looks, 0 to 1. Between two benchmarks that is what others leave.
func idleShare(ctx context.Context) (float64, error) {
	before := processorTimes()
	err := wait(ctx, time.Second)
	after := processorTimes()
	var all, idle float64
	for i := range min(len(before), len(after)) {
		all += after[i] - before[i]
		if i == 3 || i == 4 { // idle, and waiting for the disk: proc(5)
			idle += after[i] - before[i]
		}
	}
	return idle / max(all, 1), err
}

// processorTimes is the first line of /proc/stat.
func processorTimes() []float64 {
	line, _, _ := strings.Cut(content("/proc/stat"), "\n")
	var times []float64
	for _, word := range strings.Fields(strings.TrimPrefix(line, "cpu ")) {
		n, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil
		}
		times = append(times, n)
	}
	return times
}

// output returns the last line that a program prints, "" if it can't be run.
func output(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(strings.Fields(lines[len(lines)-1]), " ")
}

func content(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// field returns the value of a name in a file of "name: value" or "name=value".
func field(path, name string) string {
	for line := range strings.Lines(content(path)) {
		key, value, _ := strings.Cut(strings.ReplaceAll(line, "=", ":"), ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
