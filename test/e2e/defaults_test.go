//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/session"
)

// TestDefaults installs the chart with no values but the images', like a first-time user.
func TestDefaults(t *testing.T) {
	t.Parallel()
	n := newNamespace(t)
	start := time.Now()
	n.install(installation{images: releases[0]})
	figure("helm install to both ready, defaults", time.Since(start).Seconds(), "s")

	t.Run("helm test passes", func(t *testing.T) {
		n.smokeTest(name)
	})
	users, orders := n.forward("service/shop-user-service", 8000), n.forward("service/shop-order-service", 8001)
	t.Run("the README's session runs", func(t *testing.T) {
		session.Run(t, root, users, orders)
	})
	for service := range ports {
		p := n.pods(service)
		require.Len(t, p, 1)
		figure("compressed image, "+service, size(t, releases[0][service]), "MB")
		figure("pod created to ready, "+service, readyAfter(p[0]).Seconds(), "s")
		figure("idle memory of a pod, "+service, n.resident(service), "MiB")
	}
	t.Run("data survives the deletion of the pods", func(t *testing.T) {
		before := list(t, "http://"+users+"/api/v1/users")
		require.NotEmpty(t, before)
		ordersBefore := list(t, "http://"+orders+"/api/v1/orders")
		require.NotEmpty(t, ordersBefore)
		n.kubectl("delete", "pods", "--all")
		n.kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=2m")
		users, orders = n.forward("service/shop-user-service", 8000), n.forward("service/shop-order-service", 8001)
		require.Equal(t, before, list(t, "http://"+users+"/api/v1/users"))
		require.Equal(t, ordersBefore, list(t, "http://"+orders+"/api/v1/orders"))
	})
	t.Run("uninstalling leaves the volumes and nothing else", func(t *testing.T) {
		n.helm("uninstall", name, "--wait")
		n.eventually("everything but the volumes is gone", func() bool {
			return n.objects() == "persistentvolumeclaim/shop-order-service-data persistentvolumeclaim/shop-user-service-data"
		})
		t.Run("the next installation uses the volumes", func(t *testing.T) {
			n.install(installation{images: releases[0]})
			a := ask(t, http.MethodGet, "http://"+n.forward("service/shop-user-service", 8000)+"/api/v1/users", "")
			require.Contains(t, a.body, "Ada Lovelace")
		})
	})
}

// objects returns all objects of the namespace, except those that every namespace has, and
// records of the past such as events.
func (n *namespace) objects() string {
	n.t.Helper()
	kinds := strings.Fields(n.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name"))
	var left []string
	for _, object := range strings.Fields(n.kubectl("get", strings.Join(kinds, ","), "--output=name", "--ignore-not-found", "--sort-by=.metadata.name")) {
		switch {
		case strings.HasPrefix(object, "event"), object == "configmap/kube-root-ca.crt", object == "serviceaccount/default":
		default:
			left = append(left, object)
		}
	}
	return strings.Join(left, " ")
}
