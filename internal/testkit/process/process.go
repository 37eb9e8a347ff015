// Package process runs the real service binaries for tests: it builds them, starts them
// on free ports, and stops or kills them.
package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var builds sync.Map // name → func() (string, error)

// Build is BuildBinary for a test.
func Build(t testing.TB, service string) string {
	t.Helper()
	path, err := BuildBinary(service)
	require.NoError(t, err)
	return path
}

// BuildBinary returns the path of a service's binary, such as "user-service". It builds
// it once per test binary; Clean removes it. If TEST_BINARIES is set, it returns the
// binary in that folder: tests of several versions bring their own.
func BuildBinary(service string) (string, error) {
	given := os.Getenv("TEST_BINARIES")
	if given != "" {
		return filepath.Join(given, service), nil
	}
	once, _ := builds.LoadOrStore(service, sync.OnceValues(func() (string, error) { return build(service) }))
	return once.(func() (string, error))()
}

func build(service string) (string, error) {
	root, err := exec.CommandContext(context.Background(), "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	// In the module's git-ignored cache folder. The go command keeps it current.
	dir := strings.TrimSpace(string(root))
	path := filepath.Join(dir, ".cache", "test", fmt.Sprintf("%s-%d", service, os.Getpid()))
	sweep(filepath.Dir(path))
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./services/"+service)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", service, err, out)
	}
	return path, nil
}

// sweep removes the binaries left by killed test runs.
func sweep(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*-*"))
	for _, file := range files {
		pid, err := strconv.Atoi(file[strings.LastIndexByte(file, '-')+1:])
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.Remove(file)
		}
	}
}

// Main runs m's tests, cleans, and returns the exit code, for a TestMain.
func Main(m *testing.M) int {
	code := m.Run()
	err := Clean()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// Clean removes what Build has built. Call it at the end of TestMain.
func Clean() error {
	var errs []error
	builds.Range(func(_, build any) bool {
		path, err := build.(func() (string, error))()
		if err == nil {
			errs = append(errs, os.Remove(path))
		}
		return true
	})
	return errors.Join(errs...)
}

// Process is a running service.
type Process struct {
	// URL is the service's base URL, such as http://127.0.0.1:41234.
	URL string
	// Address is the host and the port of URL.
	Address string

	cmd    *exec.Cmd
	exited chan struct{}
	err    error

	mu  sync.Mutex
	log bytes.Buffer
}

// readyTimeout limits the start of a service. It is generous, because nothing is measured
// by it.
const readyTimeout = 60 * time.Second

// Start runs a binary with an environment (NAME=value, …), and returns when it is
// ready. It listens on 127.0.0.1, on a free port unless env has PORT. It is killed at the
// end of the test, if it is still running.
func Start(t testing.TB, binary string, env ...string) *Process {
	t.Helper()
	p, err := Run(binary, env...)
	require.NoError(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(binary), p.Log())
		}
	})
	require.NoError(t, p.WaitReady(), "%s", p.Log())
	return p
}

// Run starts a binary without waiting for readiness, and without a test that ends it. It
// returns when the service serves, or has exited.
func Run(binary string, env ...string) (*Process, error) {
	return run("serving", binary, env)
}

// Launch is Run, but returns as soon as the service listens.
func Launch(binary string, env ...string) (*Process, error) {
	return run("starting", binary, env)
}

// run starts a binary, and waits for a line in its log with the message.
func run(message, binary string, env []string) (*Process, error) {
	p := &Process{cmd: exec.Command(binary), exited: make(chan struct{})}
	p.cmd.Env = environment(env)
	p.cmd.SysProcAttr = sysProcAttr()
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = lockedWriter{p}
	err = p.cmd.Start()
	if err != nil {
		return nil, err
	}
	listening := make(chan string, 1)
	go func() {
		p.follow(stdout, message, listening)
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	select {
	case p.Address = <-listening:
		p.URL = "http://" + p.Address
		return p, nil
	case <-p.exited:
		return p, nil
	}
}

// follow keeps the log, and finds the service's address in it.
func (p *Process) follow(stdout io.Reader, message string, listening chan<- string) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == message {
			listening <- line.Address
		}
		_, _ = lockedWriter{p}.Write(append(lines.Bytes(), '\n'))
	}
}

type lockedWriter struct{ p *Process }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	return w.p.log.Write(b)
}

// Log returns the service's output so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// WaitReady waits until the service is ready.
func (p *Process) WaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	return p.wait(ctx, "/health/ready", http.StatusOK)
}

// Wait waits until a GET of path returns status.
func (p *Process) Wait(ctx context.Context, path string, status int) error {
	return p.wait(ctx, path, status)
}

func (p *Process) wait(ctx context.Context, path string, status int) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+path, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == status {
				return nil
			}
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it has exited: %w", p.err)
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer %d in time (last: %w)", path, status, err)
		case <-poll.C:
		}
	}
}

// Port returns the port that the service listens on.
func (p *Process) Port() string {
	_, port, _ := net.SplitHostPort(p.Address)
	return port
}

// Kill kills the process (SIGKILL), and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// ExitCode waits for the end of the process and returns its exit code, or -1 if a signal
// ended it.
func (p *Process) ExitCode() int {
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }
