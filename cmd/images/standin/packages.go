package standin

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// download gets the newest versions of Debian packages into a folder, from
// where this machine installs its own.
func download(ctx context.Context, dir string, packages ...string) error {
	return apt(ctx, dir, append([]string{"download"}, packages...)...)
}

// apt runs apt-get in a folder.
func apt(ctx context.Context, dir string, arguments ...string) error {
	command := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, arguments...)...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("can't get packages of Debian (apt-get update may help): apt-get %s: %w\n%s", strings.Join(arguments, " "), err, out)
	}
	return nil
}

// unpack reads the files of all packages in a folder, package by package in
// the order of their names, file by file as they are packed.
func unpack(ctx context.Context, dir string, visit func(*tar.Header, io.Reader) error) error {
	packages, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, name := range packages {
		err := unpackOne(ctx, name, visit)
		if err != nil {
			return fmt.Errorf("reading %s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

func unpackOne(ctx context.Context, name string, visit func(*tar.Header, io.Reader) error) (err error) {
	// A package's compression is what its Debian likes best: dpkg knows them all.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	command := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", name)
	command.Stderr = os.Stderr
	files, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	err = command.Start()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			cancel()
		}
		err = errors.Join(err, command.Wait())
	}()
	reader := tar.NewReader(files)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, files) // the padding at its end
			return err
		}
		if err != nil {
			return err
		}
		header.Name = strings.Trim(strings.TrimPrefix(header.Name, "."), "/")
		if header.Typeflag == tar.TypeLink {
			header.Linkname = strings.Trim(strings.TrimPrefix(header.Linkname, "."), "/")
		}
		err = visit(header, reader)
		if err != nil {
			return err
		}
	}
}
