//go:build !linux

package server

import "syscall"

// attributes puts a server in a group of its own, so that Ctrl-C in a terminal
// reaches only this program, which then stops the servers in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
