//go:build !linux && !darwin

package service

import "syscall"

// fewUnsent is net.ListenConfig.Control, for systems without TCP_NOTSENT_LOWAT.
func fewUnsent(_, _ string, _ syscall.RawConn) error { return nil }
