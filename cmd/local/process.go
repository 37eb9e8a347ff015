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
	// done is closed when the service has ended; err is how, from then on.
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
	// Something the service has started might hold its output open for ever.
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

// ended says how a service ended that should not have.
func (p *process) ended(when string) error {
	if p.err == nil {
		return fmt.Errorf("%s ended %s (exit code 0); its last lines are above", p.name, when)
	}
	return fmt.Errorf("%s ended %s (%w); its last lines are above", p.name, when, p.err)
}

// stop asks the service to end, and makes it when it hasn't after grace or when
// hurry is closed.
func (p *process) stop(grace time.Duration, hurry <-chan struct{}) error {
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	if errors.Is(err, os.ErrProcessDone) {
		<-p.done
		return nil // ended before it was asked to, which is said elsewhere
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	var why error
	select {
	case <-p.done:
		// Before a service has prepared for it, the signal itself ends it.
		if p.err != nil && !endedBy(p.cmd, syscall.SIGTERM) {
			return fmt.Errorf("%s did not stop cleanly: %w", p.name, p.err)
		}
		return nil
	case <-timer.C:
		why = fmt.Errorf("%s did not stop within %s and was killed", p.name, grace)
	case <-hurry:
		why = fmt.Errorf("%s was killed before it had stopped", p.name)
	}
	// The whole group: what the service started ends with it.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
	return why
}

// endedBy reports whether a signal ended the program that has run.
func endedBy(cmd *exec.Cmd, sig syscall.Signal) bool {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == sig
}
