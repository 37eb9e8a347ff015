//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/argocd"
)

const valuesOfDev = "charts/microservices/values-dev.yaml"

// testRelease: no request fails during a release by a commit with new digests, and its revert.
// It doesn't run in parallel with other tests, which could take the CPU from the pods.
func (g *gitops) testRelease(t *testing.T) {
	argo, n := g.argo(t), g.environment(t, "staging")
	load := n.startLoad(loadRate, g.people.token(t, uuid.NewString(), "admin"))
	commit := ""
	for _, step := range []struct {
		name  string
		build int
		do    func(last string) string
	}{
		{"a commit with new digests", 1, func(string) string { return g.promote(t, "release", "staging", 1) }},
		{"git revert", 0, func(last string) string { return g.revert(t, "release", last) }},
	} {
		before := load.report()
		commit = step.do(commit)
		argo.refresh(n.name)
		argo.becomes(n.name, step.name+", Synced and Healthy", g.runs(commit))
		n.eventually("the old pods are gone", func() bool {
			return len(strings.Fields(n.kubectl("get", "pods", "--selector=app.kubernetes.io/part-of=microservices", "--output=name"))) == 4
		})
		n.runsBuild(step.build)
		report := load.report()
		t.Logf("%s: %s", step.name, report)
		require.Greater(t, len(report.Writes), len(before.Writes), "the load stopped")
		require.Empty(t, report.failures(), step.name)
	}
	report := load.stop()
	require.Empty(t, report.failures())
	figure("writes during a release and its revert by Argo CD, none failed", float64(len(report.Writes)), "")
}

// testBroken: during a broken release the old pods keep working, and Argo CD and the pods say
// what is wrong. The next good commit replaces the release.
func (g *gitops) testBroken(t *testing.T) {
	t.Parallel()
	n := g.environment(t, "dev")
	n.kubectl("create", "secret", "generic", "wrong", "--from-literal=DATABASE_URL="+unreachable)
	for _, c := range []struct {
		name string
		// breaks changes a checkout so that the release fails.
		breaks func(t *testing.T, folder string)
		// The expected status of Argo CD, its messages, the notifications, and a pod's event.
		sync, health string
		says, told   []string
		pod          string
	}{
		{
			name: "a missing image",
			breaks: func(t *testing.T, folder string) {
				file := filepath.Join(folder, "charts/microservices/images-dev.yaml")
				argocd.Edit(t, file, digest(releases[0]["user-service"]), strings.Repeat("1", 64))
			},
			sync: "Synced", health: "Degraded",
			says: []string{`Deployment shop-user-service Degraded: Deployment "shop-user-service" exceeded its progress deadline`},
			told: []string{"is deployed, but unhealthy", `Deployment "shop-user-service" exceeded its progress deadline`},
			pod:  strings.Repeat("1", 64),
		},
		{
			name: "an image that never becomes ready",
			breaks: func(t *testing.T, folder string) {
				argocd.Edit(t, filepath.Join(folder, valuesOfDev), "  order-service:\n", "  order-service:\n    upstreams: {USER_SERVICE_URL: null}\n    env: {USER_SERVICE_URL: \"http://shop-user-service:9\"}\n")
			},
			sync: "Synced", health: "Degraded",
			says: []string{`Deployment shop-order-service Degraded: Deployment "shop-order-service" exceeded its progress deadline`},
			told: []string{"is deployed, but unhealthy", `Deployment "shop-order-service" exceeded its progress deadline`},
			pod:  "Readiness probe failed: HTTP probe failed with statuscode: 503",
		},
		{
			name: "a migration that fails",
			breaks: func(t *testing.T, folder string) {
				argocd.Edit(t, filepath.Join(folder, valuesOfDev), "existingSecret: user-service-database", "existingSecret: wrong")
			},
			sync: "Synced", health: "Degraded",
			says: []string{`Deployment shop-user-service Degraded: Deployment "shop-user-service" exceeded its progress deadline`},
			told: []string{"is deployed, but unhealthy", `Deployment "shop-user-service" exceeded its progress deadline`},
			pod:  "10.255.255.1",
		},
		{
			name: "values that don't render",
			breaks: func(t *testing.T, folder string) {
				argocd.Edit(t, filepath.Join(folder, valuesOfDev), "database:\n  mode", "databse:\n  mode")
			},
			sync: "Unknown", health: "Healthy",
			says: []string{"ComparisonError", "databse"},
			told: []string{"can't be compared", "databse"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			argo, n := g.argo(t), g.environment(t, "dev")
			before, already := n.podNames(), g.channel.length()
			bad := g.repository.Change(t, "main", "Break it: "+c.name, func(folder string) { c.breaks(t, folder) })
			argo.refresh(n.name)
			argo.becomes(n.name, c.sync+" and "+c.health, func(a application) bool {
				said := a.says()
				for _, text := range c.says {
					if !strings.Contains(said, text) {
						return false
					}
				}
				return a.Status.Sync.Status == c.sync && a.Status.Health.Status == c.health
			})
			n.eventually("the team is notified", func() bool { return g.channel.told(already, append([]string{n.name + ":"}, c.told...)...) })
			if c.pod != "" {
				n.eventually("kubectl describe names the cause", func() bool { return strings.Contains(n.kubectl("describe", "pods"), c.pod) })
			}
			require.Subset(t, n.podNames(), before, "an old pod is gone")
			ask(t, "POST", "http://"+n.forward("service/shop-user-service", 8000)+"/api/v1/users",
				strings.Replace(aUser, "ada@", strings.ReplaceAll(c.name, " ", "-")+"@", 1)).id(t)
			ask(t, "GET", "http://"+n.forward("service/shop-order-service", 8001)+"/api/v1/orders", "")

			commit := g.revert(t, "main", bad)
			argo.refresh(n.name)
			argo.becomes(n.name, "Synced and Healthy again", g.runs(commit))
			n.eventually("only the old pods are left", func() bool { return strings.Join(n.podNames(), " ") == strings.Join(before, " ") })
		})
	}
	t.Run("a deleted Deployment is created again", g.testSelfHeal)
}

// revert reverts a commit of a branch.
func (g *gitops) revert(t *testing.T, branch, commit string) string {
	t.Helper()
	return g.repository.Change(t, branch, "", func(folder string) {
		command := exec.Command("git", "revert", "--no-edit", commit)
		command.Dir = folder
		out, err := command.CombinedOutput()
		require.NoError(t, err, string(out))
	})
}

// digest returns the digest of a reference, without the algorithm.
func digest(reference string) string { return reference[len(reference)-64:] }

// runsBuild checks that all pods run the images of a build.
func (n *namespace) runsBuild(build int) {
	n.t.Helper()
	for service, image := range releases[build] {
		pods := n.pods(service)
		require.NotEmpty(n.t, pods)
		for _, p := range pods {
			require.Contains(n.t, p.Status.ContainerStatuses[0].ImageID, digest(image))
		}
	}
}
