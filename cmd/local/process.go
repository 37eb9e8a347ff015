package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a running service.
type process struct {
	name string
	cmd  *exec.Cmd
	// done is closed when the service has ended; then err is its error.
	done chan struct{}
	err  error
}

// launch starts the program of a service.
func launch(name, program string, environment []string, lines *lineWriter) (*process, error) {
	cmd := exec.Command(program)
	cmd.Env = environment
	cmd.Stdout = lines
	cmd.Stderr = lines
	cmd.SysProcAttr = attributes()
	// A child of the service might keep its output open forever.
	cmd.WaitDelay = time.Second
	err := cmd.Start()
	if err != nil {
		return nil, fmt.Errorf("can't start %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		lines.flush()
		close(p.done)
	}()
	return p, nil
}

// ended returns an error about an unexpected end of the service.
func (p *process) ended(when string) error {
	if p.err == nil {
		return fmt.Errorf("%s ended %s (exit code 0); its last lines are above", p.name, when)
	}
	return fmt.Errorf("%s ended %s (%w); its last lines are above", p.name, when, p.err)
}

// stop asks the service to end, and kills it after grace or when hurry is closed.
func (p *process) stop(grace time.Duration, hurry <-chan struct{}) error {
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		<-p.done
		return nil // it had ended before, which is reported elsewhere
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	var why error
	select {
	case <-p.done:
		// The signal kills a service that doesn't handle it yet.
		if p.err != nil && !endedBy(p.cmd, syscall.SIGTERM) {
			return fmt.Errorf("%s did not stop cleanly: %w", p.name, p.err)
		}
		return nil
	case <-timer.C:
		why = fmt.Errorf("%s did not stop within %s and was killed", p.name, grace)
	case <-hurry:
		why = fmt.Errorf("%s was killed before it had stopped", p.name)
	}
	// Kill the whole group, including the service's children.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-p.done
	return why
}

// endedBy reports whether sig ended the program.
func endedBy(cmd *exec.Cmd, sig syscall.Signal) bool {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == sig
}
