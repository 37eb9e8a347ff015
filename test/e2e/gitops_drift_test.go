//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// testSelfHeal: in dev, Argo CD reverts manual changes, except to a replica count that the
// values leave to others.
func (g *gitops) testSelfHeal(t *testing.T) {
	argo, n := g.argo(t), g.environment(t, "dev")
	uid := func() string {
		return n.kubectl("get", "deployment", "shop-user-service", "--ignore-not-found", "--output=jsonpath={.metadata.uid}")
	}
	before := uid()
	n.kubectl("delete", "deployment", "shop-user-service")
	n.eventually("Argo CD has created the Deployment again", func() bool { return uid() != "" && uid() != before })
	n.kubectl("scale", "deployment", "shop-user-service", "--replicas=2")
	n.kubectl("scale", "deployment", "shop-order-service", "--replicas=0")
	n.eventually("its pods are back", func() bool {
		return n.kubectl("get", "deployment", "shop-order-service", "--output=jsonpath={.spec.replicas}") == "1"
	})
	n.rolledOut()
	argo.becomes(n.name, "Synced and Healthy", application.good)
	require.Equal(t, "Synced", argo.reconciled(n.name).Status.Sync.Status)
	require.Equal(t, "2", n.kubectl("get", "deployment", "shop-user-service", "--output=jsonpath={.spec.replicas}"), "Argo CD must not revert a replica count that was set by hand, or by KEDA")
}

// testDrift: in production, Argo CD shows manual changes, and changes nothing before somebody
// syncs, not even after a new tag.
func (g *gitops) testDrift(t *testing.T) {
	t.Parallel()
	argo, n := g.argo(t), g.environment(t, "prod")
	before := argo.application(n.name)
	n.kubectl("delete", "deployment", "shop-user-service")
	argo.becomes(n.name, "OutOfSync because of a missing Deployment", func(a application) bool {
		for _, r := range a.Status.Resources {
			if r.Kind == "Deployment" && r.Name == "shop-user-service" && r.Status == "OutOfSync" && r.Health.Status == "Missing" {
				return a.Status.Sync.Status == "OutOfSync"
			}
		}
		return false
	})
	unchanged := func() {
		t.Helper()
		after := argo.reconciled(n.name)
		require.Equal(t, "OutOfSync", after.Status.Sync.Status)
		require.Nil(t, after.Operation)
		require.Equal(t, before.Status.OperationState.StartedAt, after.Status.OperationState.StartedAt, "there was a sync")
		require.Empty(t, n.kubectl("get", "deployment", "shop-user-service", "--ignore-not-found"))
	}
	unchanged()

	// One step, usually a pull request: docs/gitops.md.
	g.promote(t, "main", "prod", 1, "prod-v0.2.0")
	commit := g.repository.PushTag(t, "prod-v0.2.0")
	argo.refresh("microservices")
	argo.becomes(n.name, "aware of the new tag", func(a application) bool { return a.Status.Sync.Revision == commit })
	unchanged()

	argo.sync(n.name)
	argo.becomes(n.name, "Synced and Healthy", g.runs(commit))
	n.rolledOut()
	n.runsBuild(1)
}

// testRefusals: Argo CD does not do what the AppProject forbids, and says why.
func (g *gitops) testRefusals(t *testing.T) {
	t.Parallel()
	g.repository.Change(t, "forbidden", "Want too much", func(folder string) {
		require.NoError(t, os.MkdirAll(filepath.Join(folder, "forbidden/cluster"), 0o700))
		require.NoError(t, os.MkdirAll(filepath.Join(folder, "forbidden/kind"), 0o700))
		for file, kind := range map[string]string{"cluster": "ClusterRole", "kind": "Role"} {
			text := fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata: {name: forbidden}\nrules: []\n", kind)
			require.NoError(t, os.WriteFile(filepath.Join(folder, "forbidden", file, "role.yaml"), []byte(text), 0o600))
		}
	})
	for _, c := range []struct{ name, title, repository, path, namespace, says string }{
		{"repository", "another repository", g.repository.URL + "/../other.git", "charts/microservices", "microservices-dev", "is not permitted in project 'microservices'"},
		{"namespace", "another namespace", g.repository.URL, "forbidden/kind", "default", "namespace 'default' do not match any of the allowed destinations in project 'microservices'"},
		{"cluster", "a cluster-scoped kind", g.repository.URL, "forbidden/cluster", "microservices-dev", "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project microservices"},
		{"kind", "a kind that the chart doesn't have", g.repository.URL, "forbidden/kind", "microservices-dev", "resource rbac.authorization.k8s.io:Role is not permitted in project microservices"},
	} {
		t.Run(c.title, func(t *testing.T) {
			argo := g.argo(t)
			argo.apply(fmt.Sprintf(`
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: forbidden-%s}
spec:
  project: microservices
  source: {repoURL: %q, targetRevision: forbidden, path: %s}
  destination: {server: "https://kubernetes.default.svc", namespace: %s}
  syncPolicy: {automated: {}}
`, c.name, c.repository, c.path, c.namespace))
			a := argo.becomes("forbidden-"+c.name, "refused", func(a application) bool { return a.says() != "" })
			require.Contains(t, a.says(), c.says)
			require.NotEqual(t, "Succeeded", a.Status.OperationState.Phase)
			require.Empty(t, argo.kubectl("get", "clusterrole,role", "forbidden", "--namespace", c.namespace, "--ignore-not-found"))
		})
	}
}
