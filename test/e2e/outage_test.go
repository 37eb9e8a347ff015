//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// breakerOpen is how long the breaker stays open before its first probe.
const breakerOpen = 2 * time.Second

// orderFixture is a release with a user and an order, for tests that stop user-service.
type orderFixture struct {
	*namespace
	user, order string
	// orders and admin are the public and the admin address of one pod of order-service.
	orders, admin string
}

// newOrderFixture installs a release with two pods of each service, and creates a user and an
// order.
func newOrderFixture(t *testing.T, readiness string) *orderFixture {
	n := newNamespace(t)
	n.install(installation{images: releases[0], values: n.postgresMode() + `
defaults: {env: {USER_CLIENT_CACHE_TTL: 0s, USER_CLIENT_BREAKER_OPEN: ` + breakerOpen.String() + `, READINESS_USER_SERVICE: ` + readiness + `}}
`})
	f := &orderFixture{namespace: n}
	f.user = ask(t, http.MethodPost, "http://"+n.forward("service/shop-user-service", 8000)+"/api/v1/users", aUser).id(t)
	// One pod's own port, because the Service has no pods when readiness is lost.
	pod := "pod/" + n.pods("order-service")[0].Metadata.Name
	f.orders, f.admin = n.forward(pod, 8001), n.forward(pod, adminPort)
	f.order = f.create().id(t)
	return f
}

func (f *orderFixture) create() answer {
	f.t.Helper()
	return ask(f.t, http.MethodPost, "http://"+f.orders+"/api/v1/orders", anOrder(f.user))
}

// scale sets user-service's number of pods, and waits for them.
func (f *orderFixture) scale(pods string) {
	f.t.Helper()
	f.kubectl("scale", "deployment/shop-user-service", "--replicas="+pods)
	if pods == "0" {
		f.kubectl("wait", "--for=delete", "pod", "--selector=app.kubernetes.io/name=user-service", "--timeout=2m")
		return
	}
	f.kubectl("rollout", "status", "deployment/shop-user-service", "--timeout=2m")
}

// endpoints returns the number of order-service's pods behind its Service.
func (f *orderFixture) endpoints() int {
	f.t.Helper()
	return strings.Count(f.kubectl("get", "endpointslices", "--selector=kubernetes.io/service-name=shop-order-service",
		"--output=jsonpath={.items[*].endpoints[*].conditions.ready}"), "true")
}

// healthy checks that no pod of order-service was restarted.
func (f *orderFixture) healthy() {
	f.t.Helper()
	pods := f.pods("order-service")
	require.Len(f.t, pods, 2)
	for _, p := range pods {
		require.Zero(f.t, p.Status.ContainerStatuses[0].RestartCount, p.Metadata.Name)
	}
}

const openSeries = `user_client_breaker_state{state="open"}`

// TestUserServiceUnavailable removes every pod of user-service. With "degraded", order-service stays
// ready, and answers what doesn't need user-service.
func TestUserServiceUnavailable(t *testing.T) {
	t.Parallel()
	f := newOrderFixture(t, "degraded")
	f.scale("0")

	// The first requests may wait for connections that nothing accepts; then the breaker opens.
	// They are concurrent, as sequential ones may be too few for the breaker, and each for
	// another user, as requests for one user share a lookup.
	f.eventually("the breaker is open", func() bool {
		var all sync.WaitGroup
		answers := make([]answer, 8)
		for i := range answers {
			all.Go(func() {
				answers[i] = ask(t, http.MethodPost, "http://"+f.orders+"/api/v1/orders", anOrder(uuid.NewString()))
			})
		}
		all.Wait()
		for _, a := range answers {
			require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
		}
		return metric(t, f.admin, openSeries) == "1"
	})
	// Some requests are the breaker's probes, so the fastest counts.
	fastest := time.Hour
	for range 10 {
		a := f.create()
		require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
		fastest = min(fastest, a.took)
	}
	// A hundred times the usual duration: an open breaker sends no requests.
	require.Less(t, fastest, time.Second)
	figure("503 while user-service is unavailable, fastest of 10 through a port-forward", fastest.Seconds()*1000, "ms")
	a := ask(t, http.MethodGet, "http://"+f.orders+"/api/v1/orders/"+f.order, "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	ready := ask(t, http.MethodGet, "http://"+f.orders+"/health/ready", "")
	require.Equal(t, http.StatusOK, ready.status, ready.body)
	require.Contains(t, ready.body, "degraded")
	require.Equal(t, 2, f.endpoints())
	f.healthy()

	f.scale("2")
	back := time.Now()
	f.eventually("orders are accepted again", func() bool { return f.create().status == http.StatusCreated })
	figure("from the recovery of user-service to the first order created", time.Since(back).Seconds(), "s")
	require.LessOrEqual(t, time.Since(back), breakerOpen+5*time.Second, "it did not recover soon after the breaker's timeout")
	f.eventually("the breaker is closed", func() bool {
		f.create()
		return metric(t, f.admin, openSeries) == "0"
	})
	f.healthy()
}

// TestUserServiceRequired: with "required", order-service's pods leave their Service while
// user-service is unavailable, and return when it does.
func TestUserServiceRequired(t *testing.T) {
	t.Parallel()
	f := newOrderFixture(t, "required")
	require.Equal(t, 2, f.endpoints())
	f.scale("0")
	f.eventually("no pod gets requests", func() bool { return f.endpoints() == 0 })
	f.healthy()
	f.scale("1")
	f.eventually("both pods get requests again", func() bool { return f.endpoints() == 2 })
	require.Equal(t, http.StatusCreated, f.create().status)
	f.healthy()
}
