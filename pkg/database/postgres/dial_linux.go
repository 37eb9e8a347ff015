package postgres

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// giveUp makes the kernel end a connection whose other side has acknowledged
// nothing for as long as lostAfter: a host that vanished sends no reset. It is
// net.Dialer.Control.
func giveUp(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		// Without it, the keep-alive or the query's deadline ends it.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(lostAfter/time.Millisecond))
	})
}

// hasNews says that an idle connection has something to read, or has ended. A
// server says that it stops, or that a session was ended, before it is asked.
func hasNews(conn net.Conn) bool {
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	plain, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return true
	}
	var one [1]byte
	quiet := false
	// Not Read, which would wait for a read that is under way: pgx leaves one behind
	// after a write that was slow.
	err = raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = errors.Is(err, unix.EAGAIN)
	})
	return err != nil || !quiet
}
