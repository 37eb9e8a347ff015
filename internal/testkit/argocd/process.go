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

// start runs a program with only the given environment, and kills it at the end of the
// test. If the test has failed, it logs the end of the program's output.
func start(t testing.TB, name string, environment []string, program string, arguments ...string) *process {
	t.Helper()
	p := &process{exited: make(chan struct{})}
	command := exec.Command(program, arguments...)
	command.Env = environment
	command.Stdout, command.Stderr = p, p
	command.SysProcAttr = sysProcAttr()
	require.NoError(t, command.Start())
	go func() {
		_ = command.Wait() // fails because it is killed
		close(p.exited)
	}()
	t.Cleanup(func() {
		// The whole group: git has a child per connection.
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // it may have ended
		<-p.exited
		if t.Failed() {
			t.Logf("the log of %s ends with\n%s", name, p.tail(8000))
		}
	})
	return p
}

// Write appends to the log.
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

// running reports whether the program is still running.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// freePort returns a port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	return port
}

// listens reports whether a local port accepts connections.
func listens(port int) bool {
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = connection.Close() // nothing was sent
	return true
}
