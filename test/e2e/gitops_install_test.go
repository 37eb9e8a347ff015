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

// testInstall: kubectl apply --kustomize argocd, and all else comes by itself.
func (g *gitops) testInstall(t *testing.T) {
	argo := g.argo(t)
	g.repository.Change(t, "main", "", func(folder string) { argo.kubectl("apply", "--kustomize", filepath.Join(folder, "argocd")) })
	argo.becomes("microservices", "Synced and Healthy", application.good)
	for _, environment := range []string{"dev", "staging"} {
		argo.becomes("microservices-"+environment, "Synced and Healthy", application.good)
	}
	require.ElementsMatch(t, []string{"microservices", "microservices-dev", "microservices-staging", "microservices-prod"},
		strings.Fields(argo.kubectl("get", "applications.argoproj.io", "--output=jsonpath={.items[*].metadata.name}")))

	t.Run("production waits for somebody, and for its window", func(t *testing.T) {
		argo := g.argo(t)
		waiting := argo.reconciled("microservices-prod")
		require.Equal(t, "OutOfSync", waiting.Status.Sync.Status)
		require.Empty(t, waiting.Status.OperationState.Phase, "nobody has asked for anything")

		argo.sync("microservices-prod")
		argo.becomes("microservices-prod", "told about its window", func(a application) bool {
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
		argo.refresh("microservices-prod") // or it looks again after three minutes
		argo.becomes("microservices-prod", "Synced and Healthy", application.good)
	})
	for _, environment := range []string{"dev", "staging", "prod"} {
		t.Run("nothing drifts in "+environment+", and a second sync changes nothing", func(t *testing.T) {
			t.Parallel()
			g.testNoDrift(t, environment)
		})
	}
}

// testNoDrift: neither what Kubernetes adds to objects nor the autoscaler's work is
// a difference.
func (g *gitops) testNoDrift(t *testing.T, environment string) {
	argo, n := g.argo(t), g.environment(t, environment)
	if environment == "prod" {
		n.eventually("the autoscalers have made three pods of one", func() bool {
			return n.kubectl("get", "deployments", "--output=jsonpath={.items[*].spec.replicas}") == "3 3"
		})
		n.rolledOut()
	}
	argo.becomes(n.name, "Synced and Healthy", application.good)
	seen := argo.reconciled(n.name)
	require.Equal(t, "Synced", seen.Status.Sync.Status, seen.says())

	before := n.state()
	argo.sync(n.name, "ServerSideApply=true") // all, not only what is out of sync
	done := argo.becomes(n.name, "synced again", func(a application) bool {
		return a.Status.OperationState.StartedAt.After(seen.Status.OperationState.StartedAt) && a.Status.OperationState.Phase == "Succeeded"
	})
	require.Len(t, done.Status.OperationState.SyncResult.Resources, len(done.Status.Resources), "all objects were applied")
	require.Equal(t, before, n.state())
	require.Equal(t, "Synced", argo.reconciled(n.name).Status.Sync.Status)
}

// state is all that somebody wants of the namespace's objects, and their pods.
func (n *namespace) state() map[string]string {
	n.t.Helper()
	var list struct{ Items []map[string]any }
	n.get(&list, "configmaps,secrets,services,serviceaccounts,deployments,horizontalpodautoscalers,ingresses,networkpolicies,poddisruptionbudgets,externalsecrets,servicemonitors,prometheusrules,pods")
	state := map[string]string{}
	for _, object := range list.Items {
		metadata := object["metadata"].(map[string]any)
		delete(object, "status")
		delete(metadata, "managedFields")
		// It changes with the status, where there is one that changes.
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
