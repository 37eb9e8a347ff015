package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/cmd/images/standin"
	"github.com/example/microservices/internal/catalog"
)

const (
	root = "../.."
	// version contains a character that a tag can't contain.
	version, tag = "v1.2.3+test", "v1.2.3-test"
	// maxSize limits the compressed size of an image, in bytes.
	maxSize = 15_000_000
)

var (
	services  = sorted()
	platforms = []string{"linux/amd64", "linux/arm64"}
)

// sorted returns the services in the order of the output.
func sorted() []string {
	all, err := catalog.Read(root)
	if err != nil {
		panic(err)
	}
	return slices.Sorted(slices.Values(catalog.Names(all)))
}

// TestImages builds the images once and checks all their properties.
func TestImages(t *testing.T) {
	server := newRegistry(t)
	environment := []string{"REGISTRY=" + server, "VERSION=" + version, "BASE_IMAGE=" + pushedBase(t, server)}
	printed := run(t, root, environment, "make", "images")

	var pattern strings.Builder
	for _, service := range services {
		fmt.Fprintf(&pattern, "%s/%s:%s@sha256:[0-9a-f]{64}\n", regexp.QuoteMeta(server), service, regexp.QuoteMeta(tag))
	}
	require.Regexp(t, "^"+pattern.String()+"$", printed)
	references := strings.Fields(printed)
	for i, service := range services {
		index := getIndex(t, references[i])
		require.Equal(t, digestOf(t, references[i]), digestOf(t, fmt.Sprintf("%s/%s:%s", server, service, tag)), "the tag names the same image")
		for platform, image := range imagesOf(t, index) {
			t.Run(service+" on "+platform, func(t *testing.T) {
				checkConfig(t, image, service, platform)
				checkFiles(t, image, service, platform)
				checkSize(t, image)
				checkSBOM(t, server+"/"+service, image)
			})
		}
	}
	t.Run("the same source makes the same images in another folder", func(t *testing.T) {
		require.Equal(t, printed, run(t, copied(t), environment, ".ci/images"))
	})
	t.Run("one platform can be built alone, with another version", func(t *testing.T) {
		other := strings.Fields(run(t, root, append(environment, "VERSION=v1.2.4", "TAG=one", "PLATFORM="+platforms[0]), "make", "images"))
		require.Len(t, other, len(services))
		for i, reference := range other {
			require.Contains(t, reference, ":one@sha256:")
			parsed, err := name.ParseReference(reference)
			require.NoError(t, err)
			image, err := remote.Image(parsed)
			require.NoError(t, err)
			config, err := image.ConfigFile()
			require.NoError(t, err)
			require.Equal(t, platforms[0], config.OS+"/"+config.Architecture)
			require.NotEqual(t, digestOf(t, references[i]), digestOf(t, reference))
		}
	})
}

func TestAMissingRegistryIsReported(t *testing.T) {
	server := httptest.NewServer(nil)
	address := strings.Replace(strings.TrimPrefix(server.URL, "http://"), "127.0.0.1", "localhost", 1)
	server.Close()
	_, said, err := try(t, root, []string{"REGISTRY=" + address + "/some"}, ".ci/images")
	require.Error(t, err)
	require.Equal(t, "no registry listens on "+address+": make cluster starts one, REGISTRY=… names another\n", said)
}

func checkConfig(t *testing.T, image v1.Image, service, platform string) {
	t.Helper()
	config, err := image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, platform, config.OS+"/"+config.Architecture)
	require.Contains(t, []string{"65532", "65532:65532", "nonroot"}, config.Config.User)
	require.Equal(t, []string{"/ko-app/" + service}, config.Config.Entrypoint)
	require.Equal(t, int64(0), config.Created.Unix(), "the time must not depend on a clock")
}

// checkFiles checks that the service is the only program, and reports its version.
func checkFiles(t *testing.T, image v1.Image, service, platform string) {
	t.Helper()
	files := mutate.Extract(image)
	defer files.Close()
	programs := map[string][]byte{}
	seen := map[string]string{}
	reader := tar.NewReader(files)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		file := path.Join("/", header.Name)
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		seen[file] = string(content)
		script := bytes.HasPrefix(content, []byte("#!")) && header.Mode&0o111 != 0
		if bytes.HasPrefix(content, []byte("\x7fELF")) || script {
			programs[file] = content
		}
		if header.Typeflag != tar.TypeDir {
			require.NotContains(t, []string{"sh", "bash", "dash", "busybox", "apt", "dpkg"}, path.Base(file))
		}
	}
	require.Len(t, programs, 1)
	binary := programs["/ko-app/"+service]
	require.True(t, bytes.Contains(binary, []byte(version)))
	require.Contains(t, seen["/etc/passwd"], ":65532:65532:")
	require.Contains(t, seen["/etc/ssl/certs/ca-certificates.crt"], "BEGIN CERTIFICATE")
	require.Contains(t, seen, "/usr/share/zoneinfo/Europe/Berlin")
	require.Contains(t, seen, "/tmp")

	if platform == runtime.GOOS+"/"+runtime.GOARCH {
		file := filepath.Join(t.TempDir(), service)
		require.NoError(t, os.WriteFile(file, binary, 0o700))
		require.Equal(t, service+" "+version+"\n", run(t, root, nil, file, "version"))
	}
}

func checkSize(t *testing.T, image v1.Image) {
	t.Helper()
	manifest, err := image.Manifest()
	require.NoError(t, err)
	size, err := image.Size() // of the manifest itself
	require.NoError(t, err)
	size += manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	t.Logf("%.1f MB compressed", float64(size)/1e6)
	require.LessOrEqual(t, size, int64(maxSize))
}

// checkSBOM looks for the SBOM where cosign does.
func checkSBOM(t *testing.T, repository string, image v1.Image) {
	t.Helper()
	digest, err := image.Digest()
	require.NoError(t, err)
	reference, err := name.ParseReference(repository + ":" + strings.Replace(digest.String(), ":", "-", 1) + ".sbom")
	require.NoError(t, err)
	attached, err := remote.Image(reference)
	require.NoError(t, err)
	layers, err := attached.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	mediaType, err := layers[0].MediaType()
	require.NoError(t, err)
	require.Equal(t, "text/spdx+json", string(mediaType))
	content, err := layers[0].Uncompressed()
	require.NoError(t, err)
	defer content.Close()
	var sbom struct {
		SPDXVersion string
		Packages    []struct{ Name string }
	}
	require.NoError(t, json.NewDecoder(content).Decode(&sbom))
	require.Regexp(t, `^SPDX-2\.`, sbom.SPDXVersion)
	require.True(t, slices.ContainsFunc(sbom.Packages, func(p struct{ Name string }) bool { return p.Name == "github.com/gin-gonic/gin" }))
}

// newRegistry serves an empty registry and returns its address.
func newRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// pushedBase pushes the base image, or the one in BASE_IMAGE, to a registry.
func pushedBase(t *testing.T, server string) string {
	t.Helper()
	base := os.Getenv("BASE_IMAGE")
	if base == "" {
		text, err := os.ReadFile(root + "/.ko.yaml")
		require.NoError(t, err)
		found := regexp.MustCompile(`defaultBaseImage: (\S+)`).FindSubmatch(text)
		require.NotNil(t, found)
		base = string(found[1])
	}
	index, err := standin.BaseFor(t.Context(), base)
	require.NoError(t, err)
	reference, err := name.ParseReference(server + "/base:test")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(reference, index))
	return reference.String()
}

func getIndex(t *testing.T, reference string) v1.ImageIndex {
	t.Helper()
	parsed, err := name.ParseReference(reference)
	require.NoError(t, err)
	index, err := remote.Index(parsed)
	require.NoError(t, err)
	return index
}

func digestOf(t *testing.T, reference string) string {
	t.Helper()
	parsed, err := name.ParseReference(reference)
	require.NoError(t, err)
	descriptor, err := remote.Head(parsed)
	require.NoError(t, err)
	return descriptor.Digest.String()
}

// imagesOf returns an index's images by platform, and requires all platforms.
func imagesOf(t *testing.T, index v1.ImageIndex) map[string]v1.Image {
	t.Helper()
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	all := map[string]v1.Image{}
	for _, m := range manifest.Manifests {
		image, err := index.Image(m.Digest)
		require.NoError(t, err)
		all[m.Platform.OS+"/"+m.Platform.Architecture] = image
	}
	require.Len(t, manifest.Manifests, len(platforms))
	for _, platform := range platforms {
		require.Contains(t, all, platform)
	}
	return all
}

// copied copies the images' sources to another folder, without version control.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{".ci", "pkg", "services"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(root, part))))
	}
	for _, file := range []string{".ko.yaml", "go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), content, 0o600))
	}
	return dir
}

func run(t *testing.T, dir string, environment []string, words ...string) string {
	t.Helper()
	stdout, stderr, err := try(t, dir, environment, words...)
	require.NoError(t, err, "%s\n%s%s", strings.Join(words, " "), stdout, stderr)
	return stdout
}

func try(t *testing.T, dir string, environment []string, words ...string) (stdout, stderr string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), words[0], words[1:]...)
	command.Dir = dir
	// Remove variables of the make that runs the tests.
	command.Env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, "MAKE") || strings.HasPrefix(name, "KO_") ||
			slices.Contains([]string{"MFLAGS", "REGISTRY", "TAG", "VERSION", "PLATFORM", "BASE_IMAGE"}, name)
	}), environment...)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err = command.Run()
	return out.String(), said.String(), err
}
