package argocd

import "syscall"

// sysProcAttr gives a program its own process group, and kills it with the test.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
