package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

// TestAReleaseInstallsItsOwnImages pulls a released chart, renders it with its defaults, and
// checks that the images exist.
func TestAReleaseInstallsItsOwnImages(t *testing.T) {
	server := newRegistry(t) + "/shop"
	environment := []string{"REGISTRY=" + server, "BASE_IMAGE=" + pushedBase(t, strings.TrimSuffix(server, "/shop")), "PLATFORM=" + platforms[0]}
	printed := strings.Fields(run(t, root, environment, ".ci/release", "v1.2.3-rc.1"))
	require.Len(t, printed, len(services)+1)
	require.Regexp(t, `/charts/microservices:1\.2\.3-rc\.1@sha256:[0-9a-f]{64}$`, printed[len(services)])

	out, err := exec.Command(root+"/.ci/tool", "--path", "helm").Output()
	require.NoError(t, err)
	rendering := run(t, root, nil, strings.TrimSpace(string(out)), "template", "shop", "oci://"+server+"/charts/microservices",
		"--version", "1.2.3-rc.1", "--plain-http", "--kube-version", "1.34.4")
	for i, service := range services {
		require.Contains(t, printed[i], "/"+service+":v1.2.3-rc.1@sha256:")
		require.Contains(t, rendering, "image: \""+printed[i]+"\"\n")
		require.NotEmpty(t, digestOf(t, printed[i]), "the image exists")
	}
}

// TestAReleaseIsSignedAndHasSBOMs: cosign verifies a signature of each image and
// of the chart, and a signed SBOM of the index and of each platform's image, and rejects
// another key. It uses a key without a transparency log, because only GitHub can provide the
// workflow's identity.
func TestAReleaseIsSignedAndHasSBOMs(t *testing.T) {
	out, err := exec.Command(root+"/.ci/tool", "--path", "cosign").Output()
	require.NoError(t, err)
	cosign, folder := strings.TrimSpace(string(out)), t.TempDir()
	keys := []string{"COSIGN_PASSWORD="}
	for _, prefix := range []string{"ours", "others"} {
		run(t, folder, keys, cosign, "generate-key-pair", "--output-key-prefix", prefix)
	}
	run(t, folder, nil, cosign, "signing-config", "create", "--out", folder+"/signing.json")

	server := newRegistry(t)
	environment := append(keys, "REGISTRY="+server+"/shop", "BASE_IMAGE="+pushedBase(t, server), "SIGN=yes",
		"COSIGN_FLAGS=--key "+folder+"/ours.key --signing-config "+folder+"/signing.json")
	printed := strings.Fields(run(t, root, environment, ".ci/release", "v1.2.3"))
	require.Len(t, printed, len(services)+1)
	verify := func(command, key, reference string, more ...string) (string, error) {
		said, _, err := try(t, folder, nil, append([]string{cosign, command, "--key", folder + "/" + key + ".pub", "--insecure-ignore-tlog", reference}, more...)...)
		return said, err
	}
	for _, reference := range printed {
		_, err := verify("verify", "ours", reference)
		require.NoError(t, err, reference)
		_, err = verify("verify", "others", reference)
		require.Error(t, err, "another key has signed %s", reference)
	}
	for _, reference := range printed[:len(services)] {
		repository := reference[:strings.LastIndex(reference, ":v")]
		index, err := remote.Index(digested(t, reference))
		require.NoError(t, err)
		subjects := []string{reference}
		for _, image := range imagesOf(t, index) {
			digest, err := image.Digest()
			require.NoError(t, err)
			subjects = append(subjects, repository+"@"+digest.String())
		}
		require.Len(t, subjects, len(platforms)+1)
		for i, subject := range subjects {
			said, err := verify("verify-attestation", "ours", subject, "--type", "spdxjson")
			require.NoError(t, err, subject)
			var envelope struct{ Payload []byte }
			require.NoError(t, json.Unmarshal([]byte(said), &envelope))
			require.Contains(t, string(envelope.Payload), "SPDX-2.")
			require.Contains(t, string(envelope.Payload), strings.TrimPrefix(subject[strings.Index(subject, "@"):], "@sha256:"), "the SBOM must be about this digest")
			require.Equal(t, i > 0, strings.Contains(string(envelope.Payload), "github.com/gin-gonic/gin"), "an image's SBOM has its modules, the index's has the images")
		}
	}
}

func TestAReleaseNeedsAVersion(t *testing.T) {
	for _, version := range []string{"", "1.2.3", "v1.2", "v1.2.3+build", "main"} {
		_, said, err := try(t, root, []string{"REGISTRY=localhost:1"}, ".ci/release", version)
		require.Error(t, err, version)
		require.Contains(t, said, "usage: make release VERSION=vX.Y.Z")
	}
}

// digested parses a reference with a digest.
func digested(t *testing.T, reference string) name.Reference {
	t.Helper()
	parsed, err := name.NewDigest(reference)
	require.NoError(t, err)
	return parsed
}
