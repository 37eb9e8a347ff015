//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheREADMEInstallsOnACluster runs the README's commands for the local cluster, in the
// test's own namespace.
func TestTheREADMEInstallsOnACluster(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	readme, err := os.ReadFile(root + "/README.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)<!-- cluster.*?-->\n```sh\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, found, "the README has no session for the local cluster")
	text := string(found[1])
	if os.Getenv("E2E_CLUSTER") != "local" {
		// The test's cluster is running already.
		text = regexp.MustCompile(`(?m)^(make cluster|export KUBECONFIG).*\n`).ReplaceAllString(text, "")
	}
	text = strings.ReplaceAll(text, "localhost:5001", registry())
	shell := exec.Command("bash", "-euo", "pipefail")
	shell.Dir = root
	shell.Env = append(os.Environ(), "HELM_NAMESPACE="+n.name)
	shell.Stdin = strings.NewReader(text)
	out, err := shell.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `Phase:\s+Succeeded`, string(out))
}
