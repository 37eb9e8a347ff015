package argocd

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// process is a program that runs until its test ends.
type process struct {
	exited chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// start runs a program with an environment of its own. It's killed at the end of
// the test; if that has failed, the end of its log is shown.
func start(t testing.TB, name string, environment []string, program string, arguments ...string) *process {
	t.Helper()
	p := &process{exited: make(chan struct{})}
	command := exec.Command(program, arguments...)
	command.Env = environment
	command.Stdout, command.Stderr = p, p
	command.SysProcAttr = sysProcAttr()
	require.NoError(t, command.Start())
	go func() {
		_ = command.Wait() // it is killed
		close(p.exited)
	}()
	t.Cleanup(func() {
		// The whole group: git has a child for each connection.
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		<-p.exited
		if t.Failed() {
			t.Logf("the log of %s ends with\n%s", name, p.tail(8000))
		}
	})
	return p
}

// Write keeps a part of the log.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(text)
}

// tail returns the last bytes of the log.
func (p *process) tail(length int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	log := p.log.Bytes()
	return string(log[max(0, len(log)-length):])
}

// running reports whether the program hasn't ended.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// freePort returns a port that nobody listened to a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	return port
}

// listens reports whether somebody listens to a port of this machine.
func listens(port int) bool {
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = connection.Close() // nothing was sent
	return true
}
