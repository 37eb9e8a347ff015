package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// turnFile is locked while a cluster runs: its addresses and control groups are
// the machine's, so there can be one.
const turnFile = "/run/microservices-cluster"

// takeTurn locks the machine for this checkout's cluster, until the file and every
// copy of its descriptor is closed: the kernel does that for a process that is
// killed, too. The error says whose turn it is.
func takeTurn(s state) (*os.File, error) {
	file, err := os.OpenFile(turnFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// What dies lets go a moment later.
	err = eventually(killLimit/10, func() error { return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) })
	if err != nil {
		defer file.Close()
		owner, readErr := io.ReadAll(file)
		if readErr != nil {
			return nil, readErr
		}
		return nil, fmt.Errorf("the cluster of %s runs, starts or ends on this machine, and there can be one: make cluster-down there, then try again", strings.TrimSpace(string(owner)))
	}
	err = file.Truncate(0)
	if err != nil {
		return nil, err
	}
	_, err = file.WriteAt([]byte(s.project()+"\n"), 0)
	if err != nil {
		return nil, err
	}
	return file, nil
}
