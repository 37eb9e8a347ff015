//go:build linux || darwin

package service

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent is how much unsent data the kernel buffers per connection, in bytes. The rest of
// an answer waits in the process, where its memory is counted.
const unsent = 64 << 10

// fewUnsent is a net.ListenConfig.Control that sets TCP_NOTSENT_LOWAT.
func fewUnsent(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		// Ignore errors: without the option, memory is only counted less precisely.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}
