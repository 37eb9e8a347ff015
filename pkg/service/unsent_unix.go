//go:build linux || darwin

package service

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent is how much of an answer the kernel holds for a client that doesn't take it,
// in bytes, besides what is on its way. The rest waits here, where it is counted.
const unsent = 64 << 10

// fewUnsent is net.ListenConfig.Control.
func fewUnsent(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		// Without it answers are only counted less well.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}
