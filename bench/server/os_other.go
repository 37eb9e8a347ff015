//go:build !linux

package server

import (
	"errors"
	"syscall"
	"time"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// CPU works on Linux only.
func CPU(int) (time.Duration, error) { return 0, errors.New("measuring needs Linux") }

// OnProcessor calls f on any processor; choosing one works on Linux only.
func OnProcessor(_ int, f func() error) error { return f() }
