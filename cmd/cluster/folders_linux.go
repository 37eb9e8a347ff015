package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// ownFolders are where the node's programs keep sockets and state. The node mounts its own
// ones over the machine's.
var ownFolders = []string{"/run", "/var/log", "/var/lib/cni", "/var/lib/kubelet", "/etc/cni"}

// makeFolders creates missing ownFolders on the machine, as mount points, and records them
// for removeFolders.
func makeFolders(s state) error {
	for _, folder := range ownFolders {
		err := os.Mkdir(folder, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		note, err := os.OpenFile(s.path("folders"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = note.WriteString(folder + "\n")
		err = errors.Join(err, note.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

// removeFolders removes the folders that makeFolders created, which are empty.
func removeFolders(s state) error {
	note, err := os.ReadFile(s.path("folders"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, folder := range strings.Fields(string(note)) {
		err = os.Remove(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
