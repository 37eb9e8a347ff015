//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/argocd"
)

// gitops is Argo CD on the cluster, and the repository that it follows.
type gitops struct {
	repository *argocd.Repository
	channel    channel
	people     *people
}

// TestGitOps installs a fork of the project with Argo CD as docs/gitops.md describes, and then
// makes good releases, broken releases, and manual changes.
func TestGitOps(t *testing.T) {
	g := &gitops{}
	g.prepare(t)
	if !t.Run("one command installs all environments", g.testInstall) {
		return
	}
	t.Run("releases", func(t *testing.T) {
		t.Run("no request fails during a release and its git revert", g.testRelease)
		t.Run("a broken release leaves the old one working", g.testBroken)
		t.Run("in production, releases and reverts of manual changes wait for a sync", g.testDrift)
		t.Run("what the AppProject forbids is rejected", g.testRefusals)
	})
}

// prepare installs the prerequisites: Argo CD, the namespaces, their databases, and what
// staging and prod need of a cluster.
func (g *gitops) prepare(t *testing.T) {
	argocd.Start(t, root, kubectl)
	g.repository = argocd.NewRepository(t, root)
	g.notify(t)
	secondCluster(t)
	g.people = newPeople(t)
	usesOperator(t) // its ServiceMonitor and PrometheusRule
	applyForTest(t, definition(t, "github.com/external-secrets/external-secrets", "config/crds/bases/external-secrets.io_externalsecrets.yaml"))
	applyForTest(t, filepath.Join(root, "k8s", "namespaces.yaml"))
	for _, environment := range []string{"dev", "staging", "prod"} {
		n := g.environment(t, environment)
		t.Cleanup(func() {
			if t.Failed() {
				n.show()
			}
			// The namespace first, so that no controller creates new pods, which would delay it.
			_, _ = n.try("delete", "namespace", n.name, "--wait=false")
			_, _ = n.try("delete", "pods", "--all", "--grace-period=1", "--wait=false")
		})
	}
	g.environment(t, "dev").postgresMode()
	standIn(t, "dev", "staging", "prod")
	standInForMetrics(t, g.environment(t, "prod"))

	// prod requires pods in different zones, and more CPU than this machine has.
	node := &namespace{t: t, name: "default"}
	if node.kubectl("get", "nodes", "--selector=topology.kubernetes.io/zone", "--output=name") == "" {
		node.kubectl("label", "nodes", "--all", "topology.kubernetes.io/zone=here")
		t.Cleanup(func() { node.kubectl("label", "nodes", "--all", "topology.kubernetes.io/zone-") })
	}
	g.repository.Change(t, "main", "Fit the cluster", g.fit(t))
	for _, environment := range []string{"dev", "staging", "prod"} {
		g.promote(t, "main", environment, 0)
	}
	g.repository.Change(t, "release", "", func(string) {})
	g.repository.Tag(t, "main", "v0.1.0")
	// First delete the objects that would recreate the others.
	argo := g.argo(t)
	t.Cleanup(func() { _, _ = argo.try("delete", "applicationsets.argoproj.io,applications.argoproj.io", "--all") })
}

// fit returns a function that adapts the values of a checkout to the cluster, like a fork's
// owner.
func (g *gitops) fit(t *testing.T) func(folder string) {
	database, err := url.Parse(newDatabase(t))
	require.NoError(t, err)
	port := "database:\n    port: " + database.Port() + "\n"
	return func(folder string) {
		edit := func(file, old, by string) { argocd.Edit(t, filepath.Join(folder, file), old, by) }
		const dev, staging, prod, project = valuesOfDev, "charts/microservices/values-staging.yaml", "charts/microservices/values-prod.yaml", "argocd/project.yaml"
		edit(prod, "cpu: 250m", "cpu: 50m")
		edit(prod, "DATABASE_TLS: required", "DATABASE_TLS: optional") // the tests' database has no TLS
		edit(prod, "    minZones: 2\n", "")                            // the cluster has one zone
		edit(dev, "defaults:\n", "networkPolicy:\n  "+port+"defaults:\n")
		for file, others := range map[string]struct{ subnet, issuer string }{
			staging: {"10.1.64.0/20", "https://id.staging.example.com"},
			prod:    {"10.0.64.0/20", "https://id.example.com"},
		} {
			edit(file, "database:\n    port: 5432 # as in the DSN\n", port)
			edit(file, others.subnet, database.Hostname()+"/32")
			edit(file, "issuer: "+others.issuer, "issuer: "+g.people.URL)
			edit(file, "issuer: https://oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E\n    jwks: \"\"\n",
				"issuer: https://kubernetes.default.svc.cluster.local\n")
		}
		// A failed release is reported after 20 s instead of three minutes.
		edit(dev, "defaults:\n", "defaults:\n  progressDeadlineSeconds: 20\n")
		// The repository does not set user-service's replica count.
		edit(dev, "  user-service:\n", "  user-service:\n    replicas: null\n")
		// Without the cache, orders fail if user-service is unavailable.
		edit(staging, "READINESS_USER_SERVICE: degraded\n", "READINESS_USER_SERVICE: degraded\n      USER_CLIENT_CACHE_TTL: 0s\n")
		// For Argo CD, production is on another cluster.
		const set = "argocd/applicationset.yaml"
		edit(set, "environment: prod\n            cluster: in-cluster", "environment: prod\n            cluster: "+second)
		edit(project, "name: in-cluster\n      namespace: microservices-prod", "name: "+second+"\n      namespace: microservices-prod")
		// A window that isn't open at the time of the test.
		edit(project, "0 8 * * 1-4", closed)
		edit(project, "duration: 8h", "duration: 1h")
	}
}

// second is Argo CD's name for production's cluster.
const second = "second"

// secondCluster adds a cluster to Argo CD, like argocd cluster add: this one, by the address in
// the kubeconfig and with separate credentials.
func secondCluster(t *testing.T) {
	t.Helper()
	argo := &namespace{t: t, name: argocd.Namespace}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     []byte `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Token string
				Cert  []byte `json:"client-certificate-data"`
				Key   []byte `json:"client-key-data"`
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(argo.kubectl("config", "view", "--raw", "--flatten", "--minify", "--output=json")), &config))
	cluster, user := config.Clusters[0].Cluster, config.Users[0].User
	access, err := json.Marshal(map[string]any{
		"bearerToken": user.Token, "tlsClientConfig": map[string]any{"caData": cluster.CA, "certData": user.Cert, "keyData": user.Key},
	})
	require.NoError(t, err)
	argo.kubectl("create", "secret", "generic", "second-cluster", "--from-literal=name="+second, "--from-literal=server="+cluster.Server, "--from-literal=config="+string(access))
	argo.kubectl("label", "secret", "second-cluster", "argocd.argoproj.io/secret-type=cluster")
}

// closed is a schedule whose hour is about twelve hours away.
var closed = fmt.Sprintf("0 %d * * *", (time.Now().UTC().Hour()+12)%24)

// open is a schedule whose window is always open.
const open = "0-59 * * * *"

// environment returns the namespace of an environment.
func (g *gitops) environment(t *testing.T, environment string) *namespace {
	return &namespace{t: t, name: "microservices-" + environment}
}

// argo returns Argo CD's own namespace.
func (g *gitops) argo(t *testing.T) *namespace { return &namespace{t: t, name: argocd.Namespace} }

// promote writes the images of a build into an environment's values on a branch. With a tag,
// the environment then follows that tag.
func (g *gitops) promote(t *testing.T, branch, environment string, build int, tag ...string) string {
	t.Helper()
	var references []string
	for _, reference := range releases[build] {
		references = append(references, strings.Replace(reference, "@", fmt.Sprintf(":v0.0.%d-e2e@", build+1), 1))
	}
	slices.Sort(references)
	return g.repository.Change(t, branch, "", func(folder string) {
		command := exec.Command(".ci/promote", append([]string{environment}, tag...)...)
		command.Dir = folder
		command.Stdin = strings.NewReader(strings.Join(references, "\n"))
		out, err := command.CombinedOutput()
		require.NoError(t, err, string(out))
	})
}

// applyForTest creates the objects of a file, and removes them when the test ends.
func applyForTest(t *testing.T, file string) {
	t.Helper()
	n := &namespace{t: t, name: "default"}
	t.Cleanup(func() { n.kubectl("delete", "--filename", file, "--ignore-not-found") })
	n.kubectl("apply", "--server-side", "--filename", file)
}

// definition returns the path of a custom resource definition in the module that
// test/chart/schemas pins.
func definition(t *testing.T, module, file string) string {
	t.Helper()
	command := exec.Command("go", "mod", "download", module)
	command.Dir = filepath.Join(root, "test", "chart", "schemas")
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	command = exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module)
	command.Dir = filepath.Join(root, "test", "chart", "schemas")
	out, err = command.Output()
	require.NoError(t, err)
	return filepath.Join(strings.TrimSpace(string(out)), file)
}
