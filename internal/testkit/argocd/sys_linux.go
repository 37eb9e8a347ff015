package argocd

import "syscall"

// sysProcAttr gives a program a group of its own, which doesn't outlive the test.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
