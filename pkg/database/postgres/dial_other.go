//go:build !linux

package postgres

import (
	"net"
	"syscall"
)

// giveUp is a net.Dialer.Control that does nothing: only Linux has TCP_USER_TIMEOUT.
func giveUp(string, string, syscall.RawConn) error { return nil }

// hasNews returns false: the next statement finds out that a connection has ended.
func hasNews(net.Conn) bool { return false }
