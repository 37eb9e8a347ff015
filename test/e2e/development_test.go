//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	containers "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/cmd/images/standin"
)

// TestDevelopment installs the database of k8s/ and the chart with values-dev.yaml, which
// belong together.
func TestDevelopment(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	manifests, err := os.ReadFile(root + "/k8s/database.yaml")
	require.NoError(t, err)
	image := regexp.MustCompile(`image: (postgres:\S+)`).FindSubmatch(manifests)
	require.NotNil(t, image)
	n.apply(strings.ReplaceAll(string(manifests), string(image[0]), "image: "+supply(t, string(image[1]))))
	n.kubectl("rollout", "status", "statefulset/postgres", "--timeout=3m")
	n.helm(append([]string{"install", name, chart, "--values", chart + "/values-dev.yaml", "--wait", "--timeout", "3m"}, releases[0].values()...)...)
	n.smokeTest(name)

	// The services wait for a restarting database, and its data is still there.
	users := n.forward("service/shop-user-service", 8000)
	ask(t, http.MethodPost, "http://"+users+"/api/v1/users", aUser).id(t)
	n.kubectl("delete", "pod", "postgres-0")
	n.kubectl("rollout", "status", "statefulset/postgres", "--timeout=3m")
	n.eventually("the user is still there", func() bool {
		return strings.Contains(ask(t, http.MethodGet, "http://"+users+"/api/v1/users", "").body, "Ada Lovelace")
	})
	for service := range ports {
		for _, p := range n.pods(service) {
			require.Zero(t, p.Status.ContainerStatuses[0].RestartCount, p.Metadata.Name)
		}
	}
}

// supply pushes PostgreSQL's image, or a stand-in if it can't be pulled, to the cluster's
// registry. It returns the new reference.
func supply(t *testing.T, image string) string {
	t.Helper()
	postgres, err := standin.PostgresFor(t.Context(), image)
	require.NoError(t, err)
	reference, err := containers.ParseReference(registry() + "/postgres:e2e")
	require.NoError(t, err)
	require.NoError(t, remote.Write(reference, postgres, remote.WithContext(t.Context())))
	return reference.Name()
}
