//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNetworkPolicies installs the chart with its policies, and tests connections from all
// sides: the policies allow what the chart needs, and nothing else. Without the policies
// everything is allowed, which proves that the policies make the difference.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	n, elsewhere, monitoring := newNamespace(t), newNamespace(t), newNamespace(t)
	database, err := url.Parse(newDatabase(t)) // on the same server as the release's
	require.NoError(t, err)
	values := n.postgresMode() + `
networkPolicy:
  enabled: %v
  database: {port: ` + database.Port() + `}
  monitoringFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ` + monitoring.name + `}}}]
`
	enforced := installation{images: releases[0], values: fmt.Sprintf(values, true)}
	n.install(enforced) // the pods are ready, so both reach their databases
	n.smokeTest(name)
	user := ask(t, http.MethodPost, "http://"+n.forward("service/shop-user-service", 8000)+"/api/v1/users", aUser).id(t)
	orders := n.forward("service/shop-order-service", 8001)
	ask(t, http.MethodPost, "http://"+orders+"/api/v1/orders", anOrder(user)).id(t)

	strangers := n.stranger()
	toUsers, toOrders := n.url("user-service", ports["user-service"], "/health"), n.url("order-service", ports["order-service"], "/health")
	usersMetrics, ordersMetrics := n.url("user-service", adminPort, "/metrics"), n.url("order-service", adminPort, "/metrics")
	toStranger := fmt.Sprintf("http://%s:8080/", n.kubectl("get", "pod", "stranger", "--output=jsonpath={.status.podIP}"))
	views := []view{
		{"a stranger in the namespace", strangers, n, reached{toUsers: false, toOrders: false, usersMetrics: false, ordersMetrics: false, toStranger: true}},
		{"a stranger elsewhere", elsewhere.stranger(), elsewhere, reached{toUsers: false, toOrders: false, usersMetrics: false, ordersMetrics: false, toStranger: true}},
		{"the monitoring", monitoring.stranger(), monitoring, reached{toUsers: false, toOrders: false, usersMetrics: true, ordersMetrics: true, toStranger: true}},
		{"order-service", n.inside("order-service"), n, reached{toUsers: true, usersMetrics: false, toStranger: false}},
		{"user-service", n.inside("user-service"), n, reached{toOrders: false, ordersMetrics: false, toStranger: false}},
	}
	for _, v := range views {
		v.check(t, v.want)
	}

	before := n.podNames()
	open := enforced
	open.values = fmt.Sprintf(values, false)
	n.upgrade(open)
	require.Equal(t, before, n.podNames(), "the policies' upgrade replaced pods")
	for _, v := range views {
		everything := reached{}
		for url := range v.want {
			everything[url] = true
		}
		v.check(t, everything)
	}
}

// url returns the URL of a service's port that works in any namespace.
func (n *namespace) url(service string, port int, path string) string {
	return fmt.Sprintf("http://shop-%s.%s.svc:%d%s", service, n.name, port, path)
}

// reached tells for each URL whether it can be reached.
type reached map[string]bool

// view is a place from which connections are tested.
type view struct {
	name string
	// from is the command prefix that runs a program there.
	from []string
	n    *namespace
	want reached
}

// check waits until exactly the wanted URLs are reached, because the rules follow the pods and
// the policies with a delay.
func (v view) check(t *testing.T, want reached) {
	t.Helper()
	urls := slices.Sorted(maps.Keys(want))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		out, err := v.n.try(slices.Concat(v.from, []string{"--", "/ko-app/reach"}, urls)...)
		require.NoError(c, err, out)
		got := reached{}
		for line := range strings.Lines(out) {
			url, result, _ := strings.Cut(strings.TrimSpace(line), " ")
			require.Contains(c, []string{"200 OK", "no connection"}, result, url)
			got[url] = result == "200 OK"
		}
		assert.Equal(c, want, got)
	}, time.Minute, 250*time.Millisecond, v.name)
}

// reachImage is the image of the command reach.
var reachImage = sync.OnceValues(func() (string, error) { return buildProgram("reach") })

// stranger starts a pod outside any release, which answers on port 8080. It returns the command
// prefix that runs a program there.
func (n *namespace) stranger() []string {
	n.t.Helper()
	image, err := reachImage()
	require.NoError(n.t, err)
	n.apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  name: stranger
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: reach
      image: %s
      readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`, image))
	n.kubectl("wait", "--for=condition=Ready", "pod/stranger", "--timeout=1m")
	return []string{"exec", "stranger"}
}

// inside adds a container to a pod of a service, which reaches what the service reaches. It
// returns the command prefix that runs a program there.
func (n *namespace) inside(service string) []string {
	n.t.Helper()
	image, err := reachImage()
	require.NoError(n.t, err)
	pod := n.pods(service)[0].Metadata.Name
	n.kubectl("debug", pod, "--image="+image, "--container=reach", "--profile=restricted")
	n.kubectl("wait", "--for=jsonpath={.status.ephemeralContainerStatuses[0].state.running}", "pod/"+pod, "--timeout=1m")
	return []string{"exec", pod, "--container=reach"}
}
