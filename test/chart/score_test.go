package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exceptions are kube-score's checks that are not for these charts, each with the reason.
var exceptions = map[string]string{
	"container-image-pull-policy":                   "a tag is never pushed twice, and staging and production have digests: pulling again only ties a pod's start to the registry",
	"container-ephemeral-storage-request-and-limit": "on a node's disk there are only logs, which the kubelet rotates, and what SQLite sorts: a limit would evict pods in the middle of a query",
	"deployment-replicas":                           "an embedded database is one pod's; values-dev.yaml has one pod of each on purpose",
	"deployment-strategy":                           "an embedded database is one process's: the old pod goes before the new one comes",
	"deployment-has-host-podantiaffinity":           "topologySpreadConstraints spread the pods, over nodes and zones",
}

// score holds a rendering against kube-score, but for the exceptions and limits of the CPU,
// which make a service slow long before its node is busy.
func score(t *testing.T, rendering string) (string, error) {
	t.Helper()
	out, _, err := try(t, rendering, tool(t, "kube-score"), "score", "-",
		"--output-format", "ci", "--kubernetes-version", "v"+kubernetes[:strings.LastIndex(kubernetes, ".")],
		"--exit-one-on-warning", "--ignore-container-cpu-limit", "--ignore-test", strings.Join(slices.Sorted(maps.Keys(exceptions)), ","))
	return out, err
}

// TestKubeScoreFindsNothing in what is installed.
func TestKubeScoreFindsNothing(t *testing.T) {
	for _, installation := range installations {
		t.Run(installation.name, func(t *testing.T) {
			out, err := score(t, render(t, "helm", installation.values))
			require.NoError(t, err, out)
		})
	}
}

// Else the test above would pass whatever the objects were.
func TestKubeScoreFindsWhatIsUnwise(t *testing.T) {
	for _, set := range []string{"defaults.securityContext.privileged=true", "defaults.resources.limits.memory=null", "networkPolicy.enabled=false"} {
		out, err := score(t, run(t, "", tool(t, "helm"), append(templateArguments(t, nil), "--set", set)...))
		require.Error(t, err, "%s\n%s", set, out)
	}
}
