//go:build !linux && !darwin

package service

import "syscall"

// fewUnsent is a net.ListenConfig.Control for systems without TCP_NOTSENT_LOWAT. It does
// nothing.
func fewUnsent(_, _ string, _ syscall.RawConn) error { return nil }
