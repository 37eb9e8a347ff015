package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// initialize is the init process of the node's namespaces. It reaps orphans, and ends with
// its only child, the node.
func initialize() error {
	// The daemon closes descriptor 3 when it has connected the networks.
	_, err := io.ReadAll(os.NewFile(3, "joined"))
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child, err := os.StartProcess(self, []string{self, "node"}, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if pid == child.Pid {
			return errors.New("the node has ended")
		}
	}
}

// node prepares the namespaces, starts the components, and restarts those that end.
func node() error {
	s, err := here()
	if err != nil {
		return err
	}
	err = mounts()
	if err != nil {
		return err
	}
	err = joinFromWithin()
	if err != nil {
		return err
	}
	err = syscall.Sethostname([]byte(nodeName))
	if err != nil {
		return err
	}
	tools := map[string]string{}
	for _, name := range pinned {
		tools[name], err = s.tool(name)
		if err != nil {
			return err
		}
	}
	var wg sync.WaitGroup
	for _, c := range components(s, tools) {
		if c.name == "kubelet" {
			// The kubelet's first pod needs the image.
			err = importPauseImage(s)
			if err != nil {
				return err
			}
		}
		wg.Go(func() { c.keep(s) })
	}
	wg.Wait()
	return nil
}

// keep runs a component and restarts it whenever it ends.
func (c component) keep(s state) {
	log, err := os.Create(s.log(c.name))
	if err != nil {
		slog.Error("can't create the log", "component", c.name, "error", err)
		return
	}
	for ends := 0; ; ends++ {
		err = c.note(s, ends)
		if err != nil {
			slog.Error("can't write the status", "component", c.name, "error", err)
		}
		command := exec.Command(c.command[0], c.command[1:]...)
		command.Stdout, command.Stderr = log, log
		err = command.Run()
		slog.Warn("a component has ended; restarting it", "component", c.name, "log", s.log(c.name), "error", err)
		<-time.After(time.Second)
	}
}

// note records the component's state for status.
func (c component) note(s state, ends int) error {
	line := fmt.Sprintf("%-24s since %s, ended before: %d times, log: %s\n", c.name, time.Now().Format(time.TimeOnly), ends, s.log(c.name))
	return writeFiles(map[string]string{s.path("components", c.name): line})
}

// components returns a line about each started component.
func (s state) components() (string, error) {
	files, err := filepath.Glob(s.path("components", "*"))
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		text.Write(line)
	}
	return text.String(), nil
}

// importPauseImage waits for containerd and imports the sandbox image.
func importPauseImage(s state) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		out, err := exec.CommandContext(ctx, "ctr", "--namespace", "k8s.io", "images", "import", s.path("pause.tar")).CombinedOutput()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("containerd rejects the sandbox image: %w\n%s\n%s", err, out, tail(s.log("containerd")))
		}
		<-time.After(100 * time.Millisecond)
	}
}

// mounts mounts the node's own /proc, ownFolders and kernel settings, and links the network
// plugins.
func mounts() error {
	// Later mounts are invisible outside.
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	err = syscall.Mount("proc", "/proc", "proc", 0, "")
	if err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, folder := range ownFolders {
		err = syscall.Mount("tmpfs", folder, "tmpfs", 0, "mode=0755")
		if err != nil {
			return fmt.Errorf("mount %s: %w", folder, err)
		}
	}
	err = keepSettings()
	if err != nil {
		return err
	}
	plugins, err := pluginFolder()
	if err != nil {
		return err
	}
	err = os.MkdirAll("/run/cni", 0o755)
	if err != nil {
		return err
	}
	return os.Symlink(plugins, "/run/cni/bin")
}

// settings are the kernel settings that the kubelet wants. It would change them for the
// whole machine, and beyond the life of the cluster.
var settings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// keepSettings shows the kubelet its settings as already set, by bind mounts over /proc/sys,
// so that it doesn't change the machine's.
func keepSettings() error {
	for name, value := range settings {
		file := filepath.Join("/run/settings", name)
		err := writeFiles(map[string]string{file: value + "\n"})
		if err != nil {
			return err
		}
		err = syscall.Mount(file, filepath.Join("/proc/sys", name), "", syscall.MS_BIND, "")
		if err != nil {
			return fmt.Errorf("keep %s: %w", name, err)
		}
	}
	return nil
}

// pluginFolder returns the folder of the distribution's network plugins.
func pluginFolder() (string, error) {
	folders := []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}
	for _, folder := range folders {
		_, err := os.Stat(filepath.Join(folder, "ptp"))
		if err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("there are no network plugins in %s: install containernetworking-plugins", strings.Join(folders, ", "))
}
