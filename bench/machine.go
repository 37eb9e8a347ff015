package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/example/microservices/internal/testkit/postgres"
)

// describeMachine describes the machine, the software and the date, in Markdown.
func describeMachine(ctx context.Context, l *lab) string {
	var b strings.Builder
	line := func(what, value string) {
		if value != "" {
			fmt.Fprintf(&b, "- %s: %s\n", what, value)
		}
	}
	line("Written", time.Now().UTC().Format("2006-01-02"))
	line("Processor", fmt.Sprintf("%s, %d cores", field("/proc/cpuinfo", "model name"), runtime.NumCPU()))
	line("Memory", field("/proc/meminfo", "MemTotal"))
	line("System", strings.Trim(field("/etc/os-release", "PRETTY_NAME"), `"`)+", Linux "+content("/proc/sys/kernel/osrelease"))
	line("Disk", output(ctx, "df", "--output=source,fstype", l.dir))
	line("Go", runtime.Version())
	found, err := postgres.Find(ctx)
	if err == nil {
		line("PostgreSQL", output(ctx, filepath.Join(found.Bin, "postgres"), "--version"))
	}
	return b.String()
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
