//go:build e2e

package compose

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/cmd/images/standin"
)

// supply puts the images that the services and docker-compose.yml are based on into a folder:
// the real images, or stand-ins if the registry can't be reached.
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
	err = save(dir, postgres, image)
	if err != nil {
		return err
	}
	for _, w := range []struct {
		tool, image string
		arguments   []string
	}{
		{"prometheus", prometheusImage, nil},
		{"jaeger", jaegerImage, []string{"--config", "yaml:" + jaegerConfig}},
	} {
		reference, err := named("docker-compose.yml", w.image)
		if err != nil {
			return err
		}
		binary, err := build(ctx, "./.ci/tool", "--path", w.tool)
		if err != nil {
			return err
		}
		image, err := standin.ProgramFor(ctx, reference, w.tool, binary, w.arguments...)
		if err != nil {
			return err
		}
		err = save(dir, reference, image)
		if err != nil {
			return err
		}
	}
	grafana := filepath.Join(dir, "fakegrafana")
	_, err = build(ctx, "env", "CGO_ENABLED=0", "go", "build", "-o", grafana, "./test/compose/fakegrafana")
	if err != nil {
		return err
	}
	image, err = standin.Program("fakegrafana", grafana)
	if err != nil {
		return err
	}
	return save(dir, fakeGrafana, image)
}

// The images' names in docker-compose.yml.
const (
	prometheusImage = `image: (prom/prometheus:\S+)`
	jaegerImage     = `image: (jaegertracing/jaeger:\S+)`
)

// jaegerConfig is the default configuration of Jaeger's image: all in one, in memory.
const jaegerConfig = `
receivers: { otlp: { protocols: { http: { endpoint: "0.0.0.0:4318" } } } }
exporters: { jaeger_storage_exporter: { trace_storage: memory } }
extensions:
  jaeger_storage: { backends: { memory: { memory: { max_traces: 1000 } } } }
  jaeger_query: { storage: { traces: memory }, http: { endpoint: "0.0.0.0:16686" } }
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: { traces: { receivers: [otlp], exporters: [jaeger_storage_exporter] } }
`

// fakeGrafana is the image that fakegrafana.yml names.
const fakeGrafana = "microservices.local/fakegrafana:test"

// archive returns the path of an image's file in a folder.
func archive(dir, reference string) string {
	return filepath.Join(dir, strings.NewReplacer("/", "_", ":", "_").Replace(reference)+".tar")
}

func save(dir, reference string, image v1.Image) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(archive(dir, reference), tag, image)
}

// build runs a program of the project, and returns its output.
func build(ctx context.Context, words ...string) (string, error) {
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Dir = root
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(words, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// named finds the name of an image in a file of the project.
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

// baseImage serves the services' base image from a registry on this machine, and returns its
// reference.
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
