package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// exceptions are kube-score's checks that are not for these charts, each with the reason.
var exceptions = map[string]string{
	"container-image-pull-policy":                   "a tag is never pushed twice, and staging and production have digests: pulling again only ties a pod's start to the registry",
	"container-ephemeral-storage-request-and-limit": "on a node's disk there are only logs, which the kubelet rotates, and what SQLite sorts: a limit would evict pods in the middle of a query",
	"deployment-replicas":                           "an embedded database is one pod's; values-dev.yaml has one pod of each on purpose",
	"deployment-strategy":                           "an embedded database is one process's: the old pod goes before the new one comes",
	"deployment-has-host-podantiaffinity":           "topologySpreadConstraints spread the pods, over nodes and zones",
}

// TestKubeScoreFindsNothing in what is installed, but for the exceptions and limits of the
// CPU, which make a service slow long before its node is busy.
func TestKubeScoreFindsNothing(t *testing.T) {
	ignored := strings.Join(slices.Sorted(maps.Keys(exceptions)), ",")
	for _, installation := range installations {
		t.Run(installation.name, func(t *testing.T) {
			run(t, render(t, "helm", installation.values), tool(t, "kube-score"), "score", "-",
				"--output-format", "ci", "--output-version", "v1", "--kubernetes-version", "v"+strings.Join(strings.Split(kubernetes, ".")[:2], "."),
				"--exit-one-on-warning", "--ignore-container-cpu-limit", "--ignore-test", ignored)
		})
	}
}
