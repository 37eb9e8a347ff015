package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// prepare builds the cluster's programs. It runs before sudo, so that the build caches keep
// the user's ownership.
func prepare(s state) error {
	var lines strings.Builder
	for _, name := range pinned {
		command := exec.Command(filepath.Join(s.project(), ".ci", "tool"), "--path", name)
		command.Stderr = os.Stderr
		out, err := command.Output()
		if err != nil {
			return fmt.Errorf("build %s: %w", name, err)
		}
		fmt.Fprintf(&lines, "%s=%s\n", name, strings.TrimSpace(string(out)))
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", s.pauseProgram(), "./cmd/cluster/pause")
	build.Dir = s.project()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return fmt.Errorf("build pause: %w\n%s", err, out)
	}
	return os.WriteFile(s.toolsFile(), []byte(lines.String()), 0o600)
}

func (s state) pauseProgram() string { return filepath.Join(s.project(), ".cache", "bin", "pause") }
func (s state) toolsFile() string {
	return filepath.Join(s.project(), ".cache", "bin", "cluster-tools")
}

// tool returns the path of a tool that prepare built.
func (s state) tool(name string) (string, error) {
	text, err := os.ReadFile(s.toolsFile())
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		path, found := strings.CutPrefix(strings.TrimSpace(line), name+"=")
		if found {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s does not name %s", s.toolsFile(), name)
}

// elevate replaces this process with the same command as root, by sudo.
func elevate(command string) error {
	sudo, err := exec.LookPath("sudo")
	if err != nil {
		return errors.New("this needs root, for namespaces and control groups, and there is no sudo; kind needs Docker instead: k8s/kind up")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(sudo, []string{"sudo", "--preserve-env=REGISTRY_PORT", "--", self, command}, os.Environ())
}
