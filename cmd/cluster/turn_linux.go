package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// turnFile is locked while a cluster runs. Its addresses and control groups exist once per
// machine, so there can be only one cluster.
const turnFile = "/run/microservices-cluster"

// takeTurn locks turnFile for this checkout's cluster. The lock ends when all copies of the
// file's descriptor are closed, also by the death of a process. The error names the holder.
func takeTurn(s state) (*os.File, error) {
	file, err := os.OpenFile(turnFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// A dying process releases the lock a moment later.
	err = eventually(killLimit/10, func() error { return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) })
	if err != nil {
		defer file.Close()
		owner, readErr := io.ReadAll(file)
		if readErr != nil {
			return nil, readErr
		}
		return nil, fmt.Errorf("the cluster of %s runs, starts or stops on this machine, which can run only one: run make cluster-down there, then try again", strings.TrimSpace(string(owner)))
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
