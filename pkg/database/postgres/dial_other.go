//go:build !linux

package postgres

import (
	"net"
	"syscall"
)

// giveUp is net.Dialer.Control. Linux alone has TCP_USER_TIMEOUT.
func giveUp(string, string, syscall.RawConn) error { return nil }

// hasNews says no: a connection that ended is found out by the statement.
func hasNews(net.Conn) bool { return false }
