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
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/test/images/standin"
)

// reachTimeout is how long a public registry may take to answer before its
// image gets a stand-in.
const reachTimeout = 20 * time.Second

// supply puts the images that the services and docker-compose.yml start from
// into a folder: the real ones, or where their registry isn't reached, what
// stands in for them.
func supply(ctx context.Context, dir string) error {
	base, err := named(".ko.yaml", `defaultBaseImage: (\S+)`)
	if err != nil {
		return err
	}
	index, err := reach(ctx, base, remote.Index)
	if err != nil {
		fmt.Fprintf(os.Stderr, "a stand-in for %s, which can't be had: %v\n", base, err)
		index, err = standin.Base(ctx)
		if err != nil {
			return err
		}
	}
	_, err = layout.Write(filepath.Join(dir, "base"), index)
	if err != nil {
		return err
	}
	postgres, err := named("docker-compose.yml", `image: (postgres:\S+)`)
	if err != nil {
		return err
	}
	image, err := reach(ctx, postgres, func(reference name.Reference, options ...remote.Option) (v1.Image, error) {
		return remote.Image(reference, append(options, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))...)
	})
	if err != nil {
		fmt.Fprintf(os.Stderr, "a stand-in for %s, which can't be had: %v\n", postgres, err)
		image, err = standin.Postgres(ctx)
		if err != nil {
			return err
		}
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

// reach gets an image from its registry.
func reach[T any](ctx context.Context, image string, get func(name.Reference, ...remote.Option) (T, error)) (T, error) {
	var none T
	reference, err := name.ParseReference(image)
	if err != nil {
		return none, err
	}
	asked, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	_, err = remote.Head(reference, remote.WithContext(asked))
	if err != nil {
		return none, err
	}
	return get(reference, remote.WithContext(ctx))
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
