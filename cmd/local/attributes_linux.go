package main

import "syscall"

// attributes puts a service in its own process group, so that Ctrl-C in a terminal reaches
// only the runner, which then stops the services in order. If the runner is killed, the
// kernel signals the services to end.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
