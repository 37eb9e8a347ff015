// Package server starts and stops the measured programs, and reads their CPU time and memory.
package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	readyTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
	portTries    = 20
	// pollInterval is the interval of polling a starting server: far below the measured times,
	// and long enough not to take the CPU from it.
	pollInterval = 500 * time.Microsecond
)

// Server is a running program.
type Server struct {
	// Address is the host and port on which it listens, such as 127.0.0.1:8000.
	Address string
	// PID is the process's id.
	PID int

	started time.Time
	log     string
	cmd     *exec.Cmd
	exited  chan struct{}
}

// Start starts a service's binary on a free port of 127.0.0.1. Its log goes to a file in dir, in
// JSON as in production.
func Start(dir, binary string, env ...string) (*Server, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	env = append([]string{"HOST=127.0.0.1", "PORT=" + strconv.Itoa(port), "LOG_FORMAT=json"}, env...)
	return start(dir, binary, nil, env, port)
}

// StartAt starts a program that takes its address as an argument.
func StartAt(dir, binary string, env ...string) (*Server, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	return start(dir, binary, []string{"127.0.0.1:" + strconv.Itoa(port)}, env, port)
}

func start(dir, binary string, args, env []string, port int) (*Server, error) {
	log, err := os.CreateTemp(dir, filepath.Base(binary)+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s := &Server{
		Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		log:     log.Name(),
		cmd:     exec.Command(binary, args...),
		exited:  make(chan struct{}),
	}
	s.cmd.Env, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = env, dir, log, log
	s.cmd.SysProcAttr = attributes()
	s.started = time.Now()
	err = s.cmd.Start()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(binary), err)
	}
	s.PID = s.cmd.Process.Pid
	go func() {
		_ = s.cmd.Wait() // the log says how it ended
		close(s.exited)
	}()
	return s, nil
}

// Run runs a program to its end.
func Run(ctx context.Context, dir, binary string, args []string, env ...string) error {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(binary), err, out)
	}
	return nil
}

// Ready waits until the server is ready, and returns the time since its start.
func (s *Server) Ready(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	var line net.Conn
	defer func() {
		if line != nil {
			line.Close()
		}
	}()
	for {
		if line == nil {
			line, _ = net.Dial("tcp", s.Address) // refused until it listens
		}
		if line != nil {
			ready, err := askReady(ctx, line)
			if err != nil {
				line.Close()
				line = nil
			}
			if ready {
				return time.Since(s.started), nil
			}
		}
		select {
		case <-s.exited:
			return 0, fmt.Errorf("%s has exited: %s", filepath.Base(s.cmd.Path), s.Log())
		case <-ctx.Done():
			return 0, fmt.Errorf("%s is not ready: %w\n%s", filepath.Base(s.cmd.Path), ctx.Err(), s.Log())
		case <-poll.C:
		}
	}
}

// askReady sends one request. A connection made before the server accepts it waits in the
// backlog, so the answer comes at the earliest possible moment.
func askReady(ctx context.Context, line net.Conn) (bool, error) {
	deadline, _ := ctx.Deadline()
	err := line.SetDeadline(deadline)
	if err != nil {
		return false, err
	}
	_, err = line.Write([]byte("GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	if err != nil {
		return false, err
	}
	answer := make([]byte, 4096) // the answer is a few hundred bytes, sent at once
	n, err := line.Read(answer)
	if err != nil {
		return false, err
	}
	return bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 200 ")), nil
}

// Signal sends a signal.
func (s *Server) Signal(signal syscall.Signal) error { return s.cmd.Process.Signal(signal) }

// Suspend stops the process with SIGSTOP, and returns when all its threads have stopped, because
// until then it may answer.
func (s *Server) Suspend() error {
	err := s.Signal(syscall.SIGSTOP)
	if err != nil {
		return err
	}
	var status syscall.WaitStatus
	_, err = syscall.Wait4(s.cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
	if err == nil && !status.Stopped() {
		err = errors.New("the process has ended")
	}
	return err
}

// Stop sends SIGTERM to the server, and kills it if it takes too long to end. Later calls do
// nothing.
func (s *Server) Stop() error {
	err := s.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.exited:
		return err
	case <-timer.C:
		return errors.Join(fmt.Errorf("%s did not stop in %s", filepath.Base(s.cmd.Path), stopTimeout), s.Kill())
	}
}

// Kill ends the server at once.
func (s *Server) Kill() error {
	err := s.cmd.Process.Kill()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.exited
	return nil
}

// Log returns the end of the server's log.
func (s *Server) Log() string {
	content, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	const enough = 4 << 10
	return string(content[max(0, len(content)-enough):])
}

// FreePort returns a port below Linux's range for outgoing connections, so that none of them
// takes it before the server does.
func FreePort() (int, error) {
	var err error
	for range portTries {
		port := 15000 + rand.IntN(32768-15000)
		var listener net.Listener
		listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}
