//go:build e2e

package compose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// insideVariable is set for the tests' process inside the namespaces, to the folder that it
// shares with the process outside.
const insideVariable = "COMPOSE_TEST_INSIDE"

// cgroup returns the name of the cgroup of the engine's containers.
func cgroup(dir string) string { return filepath.Base(dir) }

// outside runs the tests again in new namespaces. All processes, links, rules and mounts that
// they create end with the namespaces.
func outside(dir string) (int, error) {
	if os.Getuid() != 0 {
		return 1, errors.New("Docker does not respond, and only root can start it for these tests")
	}
	// The kernel ends the inner process when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	inner := exec.CommandContext(ctx, os.Args[0], os.Args[1:]...)
	inner.Env = append(os.Environ(), insideVariable+"="+dir)
	inner.Stdout, inner.Stderr = os.Stdout, os.Stderr
	inner.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err := inner.Run()
	cleaned := removeCgroups(cgroup(dir))
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), cleaned
	}
	return 0, errors.Join(err, cleaned)
}

// inside prepares the namespaces, starts the engine and runs the tests. This process is the
// first in its PID namespace: when it ends, all others end.
func inside(tests func() int) (int, error) {
	dir := os.Getenv(insideVariable)
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"", "/", "", syscall.MS_PRIVATE | syscall.MS_REC},
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/run", "tmpfs", 0}, // or the engine would write to the machine's
	} {
		err := syscall.Mount(m.source, m.target, m.kind, m.flags, "")
		if err != nil {
			return 1, fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	err := loopbackUp()
	if err != nil {
		return 1, fmt.Errorf("lo: %w", err)
	}
	stop, err := startEngine(dir)
	if err != nil {
		return 1, err
	}
	code := tests()
	return code, stop()
}

func loopbackUp() (err error) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(socket)) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, lo)
}

const (
	engineStart = time.Minute
	engineStop  = 30 * time.Second
)

// startEngine starts dockerd, which starts containerd, and sets DOCKER_HOST.
func startEngine(dir string) (stop func() error, err error) {
	ctx := context.Background()
	settings := filepath.Join(dir, "daemon.json") // instead of the machine's settings
	err = os.WriteFile(settings, []byte("{}"), 0o600)
	if err != nil {
		return nil, err
	}
	said, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	address := "unix://" + filepath.Join(dir, "s")
	engine := exec.CommandContext(ctx, "dockerd", "--config-file", settings, "--host", address,
		"--data-root", filepath.Join(dir, "d"), "--exec-root", filepath.Join(dir, "x"), "--pidfile", filepath.Join(dir, "p"),
		// There is no systemd to create cgroups, and root without CAP_SYS_RESOURCE may not use
		// a score below 0.
		"--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", "/"+cgroup(dir), "--oom-score-adjust", "0")
	engine.Stdout, engine.Stderr = said, said
	err = engine.Start()
	if err != nil {
		return nil, err
	}
	var failure error
	ended := make(chan struct{})
	go func() {
		failure = engine.Wait()
		close(ended)
	}()
	err = errors.Join(os.Setenv("DOCKER_HOST", address), os.Unsetenv("DOCKER_CONTEXT"))
	if err != nil {
		return nil, err
	}
	deadline := time.After(engineStart)
	for exec.CommandContext(ctx, "docker", "info").Run() != nil {
		select {
		case <-ended:
			log, _ := os.ReadFile(said.Name())
			return nil, fmt.Errorf("dockerd: %w\n%s", failure, log)
		case <-deadline:
			log, _ := os.ReadFile(said.Name())
			return nil, fmt.Errorf("dockerd does not answer\n%s", log)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return func() error {
		err := engine.Process.Signal(syscall.SIGTERM)
		if err != nil {
			return err
		}
		select {
		case <-ended:
			return nil
		case <-time.After(engineStop):
			return errors.New("dockerd did not stop; the end of its namespace kills it")
		}
	}, nil
}

// removeCgroups removes the cgroups that the engine left, in every hierarchy. The kernel allows
// it shortly after their processes have ended.
func removeCgroups(name string) error {
	var left []string
	deadline := time.Now().Add(engineStop)
	for {
		left = nil
		for _, pattern := range []string{"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/*/" + name} {
			found, err := filepath.Glob(pattern)
			if err != nil {
				return err
			}
			left = append(left, found...)
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("can't remove %s", strings.Join(left, ", "))
		}
		for _, hierarchy := range left {
			var groups []string
			_ = filepath.WalkDir(hierarchy, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					groups = append(groups, path)
				}
				return nil
			})
			for _, group := range slices.Backward(groups) {
				_ = os.Remove(group) // the next round retries what is left
			}
		}
		<-time.After(50 * time.Millisecond)
	}
}
