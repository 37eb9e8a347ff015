package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAReleaseInstallsItsOwnImages: the chart of a release, pulled from where it
// was pushed and rendered without a value, names images that are there.
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
		require.NotEmpty(t, digestOf(t, printed[i]), "it is there")
	}
}

func TestWhatIsNoVersionIsNotReleased(t *testing.T) {
	for _, version := range []string{"", "1.2.3", "v1.2", "v1.2.3+build", "main"} {
		_, said, err := try(t, root, []string{"REGISTRY=localhost:1"}, ".ci/release", version)
		require.Error(t, err, version)
		require.Contains(t, said, "usage: .ci/release vX.Y.Z")
	}
}
