package main

import "syscall"

// attributes puts a service in a group of its own, so that Ctrl-C in a terminal
// reaches only the runner, which then stops the services in order. Should the
// runner be killed the kernel asks them to end.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
