package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exceptions are the checks of kube-score that don't apply, with reasons.
var exceptions = map[string]string{
	"container-image-pull-policy":                   "a tag is never pushed twice, and staging and production have digests: pulling again only ties a pod's start to the registry",
	"container-ephemeral-storage-request-and-limit": "the pods use the node's disk only for logs, which the kubelet rotates, and for SQLite's sorting: a limit would evict pods during a query",
	"deployment-replicas":                           "only one pod can use an embedded database; values-dev.yaml has one pod of each on purpose",
	"deployment-strategy":                           "only one process can use an embedded database: the old pod ends before the new one starts",
	"deployment-has-host-podantiaffinity":           "topologySpreadConstraints spread the pods, over nodes and zones",
}

// score runs kube-score on a rendering, without the exceptions, and without requiring CPU
// limits, which would throttle a service long before its node is busy.
func score(t *testing.T, rendering string) (string, error) {
	t.Helper()
	out, _, err := try(t, rendering, tool(t, "kube-score"), "score", "-",
		"--output-format", "ci", "--kubernetes-version", "v"+kubernetes[:strings.LastIndex(kubernetes, ".")],
		"--exit-one-on-warning", "--ignore-container-cpu-limit", "--ignore-test", strings.Join(slices.Sorted(maps.Keys(exceptions)), ","))
	return out, err
}

// TestKubeScoreFindsNothing: kube-score has no findings in any installation.
func TestKubeScoreFindsNothing(t *testing.T) {
	for _, installation := range installations {
		t.Run(installation.name, func(t *testing.T) {
			out, err := score(t, render(t, "helm", installation.values))
			require.NoError(t, err, out)
		})
	}
}

// Proves that the test above can fail.
func TestKubeScoreFindsBadSettings(t *testing.T) {
	for _, set := range []string{"defaults.securityContext.privileged=true", "defaults.resources.limits.memory=null", "networkPolicy.enabled=false"} {
		out, err := score(t, run(t, "", tool(t, "helm"), append(templateArguments(t, nil), "--set", set)...))
		require.Error(t, err, "%s\n%s", set, out)
	}
}
