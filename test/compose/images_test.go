//go:build e2e

package compose

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/test/images/standin"
)

// supply puts the images that the services and docker-compose.yml start from
// into a folder: the real ones, or where their registry isn't reached, what
// stands in for them.
func supply(ctx context.Context, dir string) error {
	base, err := named(".ko.yaml", `defaultBaseImage: (\S+)`)
	if err != nil {
		return err
	}
	index, err := standin.BaseFor(ctx, base)
	if err != nil {
		return err
	}
	_, err = layout.Write(filepath.Join(dir, "base"), index)
	if err != nil {
		return err
	}
	postgres, err := named("docker-compose.yml", `image: (postgres:\S+)`)
	if err != nil {
		return err
	}
	image, err := standin.PostgresFor(ctx, postgres)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(postgres)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(filepath.Join(dir, "postgres.tar"), tag, image)
}

// named finds what a file of the project calls an image.
func named(file, pattern string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%s has no %s", file, pattern)
	}
	return string(found[1]), nil
}

// baseImage serves the services' base from a registry on this machine and
// returns its reference.
func baseImage(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	reference, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/base:test")
	require.NoError(t, err)
	index, err := layout.ImageIndexFromPath(filepath.Join(images, "base"))
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(reference, index))
	return reference.String()
}
