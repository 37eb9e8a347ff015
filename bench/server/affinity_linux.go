package server

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnProcessor calls f on one processor of the machine, counted from 0. A program
// that f starts stays there, with all its threads; other goroutines are not
// concerned.
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
