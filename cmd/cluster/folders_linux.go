package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// ownFolders are those in which programs of the node keep sockets and notes; the
// node has its own of each.
var ownFolders = []string{"/run", "/var/log", "/var/lib/cni", "/var/lib/kubelet", "/etc/cni"}

// makeFolders makes what the machine lacks of them, to be mounted on, and keeps a
// note of it for removeFolders.
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

// removeFolders removes what makeFolders has made; all of it is empty.
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
