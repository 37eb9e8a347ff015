package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// writePauseImage builds the program pause and puts it into an image, which the
// node imports.
func writePauseImage(s state) error {
	binary := s.path("pause")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./test/cluster/pause")
	build.Dir = s.project()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return fmt.Errorf("build pause: %w\n%s", err, out)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	err = writer.WriteHeader(&tar.Header{Name: "pause", Mode: 0o755, Size: int64(len(program))})
	if err != nil {
		return err
	}
	_, err = writer.Write(program)
	if err != nil {
		return err
	}
	err = writer.Close()
	if err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint, config.Config.User = []string{"/pause"}, "65535:65535"
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		return err
	}
	reference, err := name.ParseReference(pauseReference)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(s.path("pause.tar"), reference, image)
}
