package server

import "syscall"

// attributes puts a server in a group of its own, so that Ctrl-C in a terminal
// reaches only this program, which then stops the servers in order. Should the
// program be killed the kernel ends them.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
