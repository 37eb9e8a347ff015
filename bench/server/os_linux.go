package server

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attributes puts a server into its own process group, so that Ctrl-C in a terminal reaches only
// this program, which then stops the servers in order. If the program is killed, the kernel
// kills them.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// CPU returns the CPU time of the process, user and system, by its CPU clock, in nanoseconds.
// /proc has only hundredths of a second.
func CPU(pid int) (time.Duration, error) {
	const scheduled = 2 // MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of linux/posix-timers.h
	var t unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|scheduled), &t)
	if err != nil {
		return 0, fmt.Errorf("processor time of %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// OnProcessor calls f on one processor of the machine, counted from 0. A program that f starts
// stays there, with all its threads; other goroutines are not affected.
func OnProcessor(n int, f func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	err = unix.SchedGetaffinity(0, &before)
	if err != nil {
		return fmt.Errorf("affinity: %w", err)
	}
	one.Set(n)
	err = unix.SchedSetaffinity(0, &one)
	if err != nil {
		return fmt.Errorf("affinity: %w", err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &before)) }()
	return f()
}
