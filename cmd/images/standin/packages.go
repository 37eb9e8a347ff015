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

// download downloads the newest versions of Debian packages into dir, from this machine's
// configured sources.
func download(ctx context.Context, dir string, packages ...string) error {
	return apt(ctx, dir, append([]string{"download"}, packages...)...)
}

// apt runs apt-get in dir.
func apt(ctx context.Context, dir string, arguments ...string) error {
	command := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, arguments...)...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("can't get packages of Debian (apt-get update may help): apt-get %s: %w\n%s", strings.Join(arguments, " "), err, out)
	}
	return nil
}

// unpack calls visit for each file of all packages in dir: packages in the order of their
// names, files in the order of their archives.
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
	// dpkg knows the compression of every Debian release.
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
			_, err = io.Copy(io.Discard, files) // padding at the end
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
