package postgres

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// process is one run of the postgres program, with its children.
type process struct {
	cmd *exec.Cmd
	// alive is the reading end of a pipe. The server and all its children hold the writing
	// end, so it is closed when the last of them ends. Waiting for that needs no goroutine,
	// and an earlier restart would be rejected.
	alive *os.File
}

// prepare makes cmd run as the server's user, in a neutral environment.
func (s *Server) prepare(cmd *exec.Cmd) {
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + s.bin + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	// Its own session, so that Ctrl-C reaches only the tests.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.who, Setsid: true}
}

// launch starts the postgres program and doesn't wait for it.
func (s *Server) launch() (*process, error) {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.Data(), "-p", strconv.Itoa(s.port))
	s.prepare(cmd)
	cmd.Stdout = log
	cmd.Stderr = log
	cmd.ExtraFiles = []*os.File{write}
	err = cmd.Start()
	if err != nil {
		return nil, errors.Join(err, read.Close())
	}
	return &process{cmd: cmd, alive: read}, nil
}

// exitedWithin waits up to limit and reports whether all processes have ended.
func (p *process) exitedWithin(limit time.Duration) (bool, error) {
	err := p.alive.SetReadDeadline(time.Now().Add(limit))
	if err != nil {
		return false, err
	}
	_, err = p.alive.Read(make([]byte, 1))
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false, nil
	}
	return false, fmt.Errorf("watch the server: %w", err)
}

// stop asks for a fast shutdown (SIGINT) and kills what is left after grace.
func (p *process) stop(grace time.Duration) error {
	err := p.cmd.Process.Signal(syscall.SIGINT)
	if errors.Is(err, os.ErrProcessDone) {
		return p.reap()
	}
	if err != nil {
		return errors.Join(err, p.kill())
	}
	exited, err := p.exitedWithin(grace)
	if err != nil || !exited {
		return errors.Join(err, fmt.Errorf("the server did not stop within %s", grace), p.kill())
	}
	return p.reap()
}

// kill kills the server and its children with SIGKILL. The children have their own
// sessions, and a busy one would outlive its parent for a while, so they are killed as
// well. The server is frozen first, so that it starts no more.
func (p *process) kill() error {
	pid := p.cmd.Process.Pid
	_ = p.cmd.Process.Signal(syscall.SIGSTOP) // fails only if it has ended
	children, err := childrenOf(pid)
	_ = p.cmd.Process.Kill()
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	exited, waitErr := p.exitedWithin(stopGrace)
	if waitErr == nil && !exited {
		waitErr = errors.New("processes of the server are left after SIGKILL")
	}
	return errors.Join(err, waitErr, p.reap())
}

// reap waits for the ended server. Its log says how it ended.
func (p *process) reap() error {
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return errors.Join(err, p.alive.Close())
}
