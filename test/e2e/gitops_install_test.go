//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/argocd"
)

// testInstall: after kubectl apply --kustomize argocd, Argo CD installs everything.
func (g *gitops) testInstall(t *testing.T) {
	argo := g.argo(t)
	g.repository.Change(t, "main", "", func(folder string) { argo.kubectl("apply", "--kustomize", filepath.Join(folder, "argocd")) })
	argo.becomes("microservices", "Synced and Healthy", application.good)
	for _, environment := range []string{"dev", "staging"} {
		argo.becomes("microservices-"+environment, "Synced and Healthy", application.good)
	}
	require.ElementsMatch(t, []string{"microservices", "microservices-dev", "microservices-staging", "microservices-prod"},
		strings.Fields(argo.kubectl("get", "applications.argoproj.io", "--output=jsonpath={.items[*].metadata.name}")))

	t.Run("production waits for a manual sync, and for its window", func(t *testing.T) {
		argo := g.argo(t)
		waiting := argo.reconciled("microservices-prod")
		require.Equal(t, "OutOfSync", waiting.Status.Sync.Status)
		require.Empty(t, waiting.Status.OperationState.Phase, "there was a sync before anybody started one")

		argo.sync("microservices-prod")
		argo.becomes("microservices-prod", "blocked by its window", func(a application) bool {
			return a.Status.OperationState.Message == "Sync operation blocked by sync window"
		})
		require.Empty(t, g.environment(t, "prod").objects())

		g.repository.Change(t, "main", "Open the window", func(folder string) {
			argocd.Edit(t, folder+"/argocd/project.yaml", closed, open)
		})
		argo.refresh("microservices")
		argo.eventually("the window is open", func() bool {
			return strings.Contains(argo.kubectl("get", "appprojects.argoproj.io", "microservices", "--output=jsonpath={.spec.syncWindows}"), open)
		})
		argo.refresh("microservices-prod") // without it, Argo CD looks again only after three minutes
		argo.becomes("microservices-prod", "Synced and Healthy", application.good)
	})
	for _, environment := range []string{"dev", "staging", "prod"} {
		t.Run("no differences in "+environment+", and a second sync changes nothing", func(t *testing.T) {
			t.Parallel()
			g.testNoDrift(t, environment)
		})
	}
}

// testNoDrift: the fields that Kubernetes adds to objects, and the autoscaler's replica
// counts, are no difference.
func (g *gitops) testNoDrift(t *testing.T, environment string) {
	argo, n := g.argo(t), g.environment(t, environment)
	if environment == "prod" {
		n.eventually("the autoscalers have scaled to three pods", func() bool {
			return n.kubectl("get", "deployments", "--output=jsonpath={.items[*].spec.replicas}") == "3 3"
		})
		n.rolledOut()
	}
	argo.becomes(n.name, "Synced and Healthy", application.good)
	seen := argo.reconciled(n.name)
	require.Equal(t, "Synced", seen.Status.Sync.Status, seen.says())

	before := n.state()
	argo.sync(n.name, "ServerSideApply=true") // applies all objects, not only those out of sync
	done := argo.becomes(n.name, "synced again", func(a application) bool {
		return a.Status.OperationState.StartedAt.After(seen.Status.OperationState.StartedAt) && a.Status.OperationState.Phase == "Succeeded"
	})
	require.Len(t, done.Status.OperationState.SyncResult.Resources, len(done.Status.Resources), "the sync left objects out")
	require.Equal(t, before, n.state())
	require.Equal(t, "Synced", argo.reconciled(n.name).Status.Sync.Status)
}

// state returns the desired state of the namespace's objects, and its pods.
func (n *namespace) state() map[string]string {
	n.t.Helper()
	var list struct{ Items []map[string]any }
	n.get(&list, "configmaps,secrets,services,serviceaccounts,deployments,horizontalpodautoscalers,ingresses,networkpolicies,poddisruptionbudgets,externalsecrets,servicemonitors,prometheusrules,pods")
	state := map[string]string{}
	for _, object := range list.Items {
		metadata := object["metadata"].(map[string]any)
		delete(object, "status")
		delete(metadata, "managedFields")
		// For kinds whose status changes, it changes with the status.
		switch object["kind"] {
		case "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Pod":
			delete(metadata, "resourceVersion")
		}
		text, err := json.Marshal(object)
		require.NoError(n.t, err)
		state[object["kind"].(string)+"/"+metadata["name"].(string)] = string(text)
	}
	require.NotEmpty(n.t, state)
	return state
}
