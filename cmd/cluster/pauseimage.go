package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// writePauseImage writes an image archive with the program pause, for the node to import.
func writePauseImage(s state) error {
	program, err := os.ReadFile(s.pauseProgram())
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
