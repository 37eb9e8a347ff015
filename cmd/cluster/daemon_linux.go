package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// startLimit bounds a start, which takes about 20 seconds on an idle machine.
	startLimit = 4 * time.Minute
	// stopLimit bounds the time that the kernel needs to remove a node.
	stopLimit = time.Minute
	// killLimit bounds the time that the kernel needs after a node was killed.
	killLimit = 10 * time.Second
)

// up starts the cluster in the background, unless it runs, and waits until it is ready.
func up() error {
	s, err := here()
	if err != nil {
		return err
	}
	if s.running() != 0 {
		fmt.Fprintln(os.Stderr, usage(s))
		return nil
	}
	// Lock before removing anything, which could belong to another checkout's cluster.
	turn, err := takeTurn(s)
	if err != nil {
		return err
	}
	defer turn.Close()
	err = clean(s)
	if err != nil {
		return err
	}
	err = os.MkdirAll(s.path("logs"), 0o755)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "starting the cluster")
	err = startDaemon(s, turn)
	if err != nil {
		return errors.Join(err, remains(s))
	}
	fmt.Fprintln(os.Stderr, usage(s))
	return nil
}

func usage(s state) string {
	return fmt.Sprintf(`The cluster runs. To use it:

  export KUBECONFIG=%s
  .ci/tool kubernetes kubectl get nodes        (or your own kubectl)
  make images                                  pushes to its registry, localhost:%s

make cluster-down removes it. Logs are in %s.`, s.kubeconfig(), registryPort(), s.path("logs"))
}

// startDaemon starts the daemon and waits until it reports that the cluster is ready, or an
// error.
func startDaemon(s state, turn *os.File) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The daemon runs a copy, because go run deletes its program when it exits.
	program := s.path("cluster")
	binary, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	err = os.WriteFile(program, binary, 0o700)
	if err != nil {
		return err
	}
	log, err := os.Create(s.log("daemon"))
	if err != nil {
		return err
	}
	defer log.Close()
	said, says, err := os.Pipe()
	if err != nil {
		return err
	}
	defer said.Close()
	command := exec.Command(program, "daemon")
	command.Dir = s.project()
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = []*os.File{says, turn}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C must not reach it
	err = command.Start()
	if err != nil {
		return err
	}
	err = says.Close()
	if err != nil {
		return err
	}
	// Ctrl-C during the start stops the daemon, too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, func() { _ = command.Process.Signal(syscall.SIGTERM) })()
	word, err := io.ReadAll(said)
	if err != nil {
		return err
	}
	if string(word) != "ready" {
		return fmt.Errorf("it did not start: %s", strings.TrimSpace(string(word)))
	}
	return command.Process.Release()
}

// daemon serves the registry, runs the node, and removes everything when it is stopped. It
// writes "ready" or an error to file descriptor 3, for its parent.
func daemon() error {
	s, err := here()
	if err != nil {
		return err
	}
	parent := os.NewFile(3, "parent")
	// Child processes must not inherit the lock.
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	err = os.WriteFile(s.path("pid"), []byte(strconv.Itoa(os.Getpid())), 0o600)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	node, err := startNode(s)
	if err == nil {
		err = waitReady(ctx, s, node)
	}
	if err == nil {
		err = giveBack(s)
	}
	word := "ready"
	if err != nil {
		word = err.Error()
	}
	_, _ = parent.WriteString(word) // the parent may have exited; the log has it, too
	_ = parent.Close()              // likewise
	if err != nil {
		return errors.Join(err, node.stop())
	}
	select {
	case <-ctx.Done():
	case <-node.gone:
		err = fmt.Errorf("the node has ended: %s", tail(s.log("node")))
	}
	return errors.Join(err, node.stop())
}

// giveBack changes the owner of the files for users to the user who called sudo.
func giveBack(s state) error {
	if os.Getenv("SUDO_UID") == "" {
		return nil // not started by sudo
	}
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(os.Getenv("SUDO_GID"))
	if err != nil {
		return err
	}
	return os.Chown(s.kubeconfig(), uid, gid)
}

// nodeProcess is the node's init on the machine. The node's other processes end with it.
type nodeProcess struct {
	command *exec.Cmd
	gone    chan struct{}
}

// startNode prepares the node, starts it in its own namespaces, and connects it to this
// machine by a veth pair.
func startNode(s state) (*nodeProcess, error) {
	n := &nodeProcess{gone: make(chan struct{})}
	err := errors.Join(writeCertificates(s), writeConfigurations(s), writePauseImage(s), makeFolders(s), os.MkdirAll(s.path("volumes"), 0o755), os.MkdirAll(s.path("registry"), 0o755), makeControlGroups())
	if err != nil {
		return n, err
	}
	log, err := os.Create(s.log("node"))
	if err != nil {
		return n, err
	}
	defer log.Close()
	begin, joined, err := os.Pipe()
	if err != nil {
		return n, err
	}
	defer begin.Close()
	command := exec.Command(s.path("cluster"), "init")
	command.Dir = s.project()
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = []*os.File{begin}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	// The parent death signal depends on the parent's thread, so keep that thread.
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait() // the log has the error
		}
		close(n.gone)
	}()
	err = <-started
	if err != nil {
		return n, err
	}
	n.command = command
	err = join(n.command.Process.Pid)
	if err != nil {
		return n, err
	}
	err = joined.Close() // lets the node continue
	if err != nil {
		return n, err
	}
	var listeners []net.Listener
	for _, host := range []string{"127.0.0.1", hostAddress} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, registryPort()))
		if err != nil {
			return n, fmt.Errorf("the registry's port: %w; choose another port with REGISTRY_PORT", err)
		}
		listeners = append(listeners, listener)
	}
	serveRegistry(s, listeners)
	return n, nil
}

// stop kills the node and waits until the kernel has removed it.
func (n *nodeProcess) stop() error {
	if n.command == nil {
		return nil
	}
	_ = n.command.Process.Kill() // it may have ended
	select {
	case <-n.gone:
		return nil
	case <-time.After(stopLimit):
		return errors.New("the node did not end in time")
	}
}

// down stops the cluster and removes what it created. Without a cluster it does nothing.
func down() error {
	s, err := here()
	if err != nil {
		return err
	}
	pid := s.running()
	if pid != 0 {
		err = syscall.Kill(pid, syscall.SIGTERM)
		if err != nil {
			return err
		}
		err = s.ended(pid)
		if err != nil {
			return err
		}
	}
	_, err = os.Stat(string(s))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // what exists on the machine belongs to another checkout
	}
	turn, err := takeTurn(s)
	if err != nil {
		return err
	}
	defer turn.Close()
	return clean(s)
}

// remains removes what a failed start left, except the logs. The caller must hold the lock.
func remains(s state) error {
	pid := s.running()
	if pid != 0 {
		err := s.ended(pid)
		if err != nil {
			return err
		}
	}
	return eventually(killLimit, removeControlGroups)
}

// clean removes the control groups and files of a cluster that has ended. It waits for
// processes that are still ending.
func clean(s state) error {
	err := eventually(killLimit, removeControlGroups)
	if err != nil {
		return err
	}
	err = removeFolders(s)
	if err != nil {
		return err
	}
	return os.RemoveAll(string(s))
}

// eventually retries until try succeeds or limit has passed, and returns the last error.
func eventually(limit time.Duration, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(50 * time.Millisecond)
	}
}

// status prints whether the cluster runs, and the state of each component.
func status() error {
	s, err := here()
	if err != nil {
		return err
	}
	if s.running() == 0 {
		return errors.New("the cluster is not running; start it with make cluster")
	}
	text, err := s.components()
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, usage(s)+"\n\n"+text)
	return nil
}

// ended waits until the daemon has ended.
func (s state) ended(pid int) error {
	return eventually(stopLimit, func() error {
		if s.running() != 0 {
			return fmt.Errorf("process %d did not end in time", pid)
		}
		return nil
	})
}

// running returns the daemon's process id, or 0 if it doesn't run.
func (s state) running() int {
	text, err := os.ReadFile(s.path("pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return 0
	}
	// Another process may have this id by now.
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || strings.TrimSuffix(program, " (deleted)") != s.path("cluster") {
		return 0
	}
	return pid
}

// tail returns the end of a log.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n") + "\n(" + file + ")"
}
