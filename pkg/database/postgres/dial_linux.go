package postgres

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// giveUp is a net.Dialer.Control that sets TCP_USER_TIMEOUT. The kernel then ends a
// connection whose peer has acknowledged nothing for lostAfter: a host that vanished
// sends no reset.
func giveUp(_, _ string, conn syscall.RawConn) error {
	return conn.Control(func(fd uintptr) {
		// Ignore errors: without the option, keep-alive or the query's deadline ends the
		// connection.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(lostAfter/time.Millisecond))
	})
}

// hasNews reports whether an idle connection has data to read, or has ended. A server
// that stops, or ends a session, announces it.
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
	// Not conn.Read, which would wait for a read in progress: pgx leaves one behind after a
	// slow write.
	err = raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = errors.Is(err, unix.EAGAIN)
	})
	return err != nil || !quiet
}
