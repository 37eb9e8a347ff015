//go:build e2e

package e2e

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// TestFaultsMakeAlertsFire: the Prometheus Operator uses the chart's ServiceMonitors and rules,
// its Prometheus scrapes every pod, and each fault makes its alerts fire until the fault is
// over. The rules' windows are shortened to a fiftieth: five minutes are six seconds.
func TestFaultsMakeAlertsFire(t *testing.T) {
	t.Parallel()
	image := usesOperator(t)
	n, monitoring := newNamespace(t), newNamespace(t)
	databases := &proxiedDatabases{}
	databases.start(n)
	n.install(installation{images: releases[0], values: postgresValues + `
defaults: {env: {USER_CLIENT_CACHE_TTL: 0s, USER_CLIENT_BREAKER_OPEN: ` + breakerOpen.String() + `, READINESS_USER_SERVICE: degraded}}
serviceMonitor: {enabled: true, interval: 1s, scrapeTimeout: 1s}
prometheusRule: {enabled: true, windowScale: 0.02}
networkPolicy:
  database: {port: ` + databases.port() + `}
  monitoringFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ` + monitoring.name + `}}}]
`})
	n.startLoad(loadRate, "")
	w := monitoring.watch(n, image)
	n.eventually("every pod is scraped", func() bool {
		scraped := w.pods(`up == 1`)
		return slices.Equal(n.podNames(), scraped)
	})
	w.quiet()

	// user-service is down.
	n.kubectl("scale", "deployment/shop-user-service", "--replicas=0")
	w.fires("ServiceUnavailable", "user-service")
	w.fires("BreakerOpen", "order-service")
	w.fires("AvailabilityBudgetBurn", "order-service")
	n.kubectl("scale", "deployment/shop-user-service", "--replicas=2")
	n.kubectl("rollout", "status", "deployment/shop-user-service", "--timeout=2m")
	w.quiet()

	// The databases are slow.
	databases.slow(t, true)
	w.fires("LatencyBudgetBurn", "user-service")
	databases.slow(t, false)
	w.quiet()

	// The databases are unavailable: 5xx.
	databases.proxy.Stop()
	w.fires("AvailabilityBudgetBurn", "user-service")
	w.fires("DependencyDown", "user-service")
	w.fires("ServiceUnavailable", "order-service")
	require.NoError(t, databases.proxy.Start())
	w.quiet()
}

// proxiedDatabases are the databases of a release, behind a proxy that injects faults.
type proxiedDatabases struct{ proxy *toxiproxy.Proxy }

// start creates the databases, and a Secret for each.
func (d *proxiedDatabases) start(n *namespace) {
	n.t.Helper()
	for service := range ports {
		address, err := url.Parse(newDatabase(n.t))
		require.NoError(n.t, err)
		if d.proxy == nil { // all are on one server
			control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
			d.proxy = toxiproxy.NewProxy(control, "postgres", os.Getenv("E2E_HOST")+":0", address.Host)
			require.NoError(n.t, d.proxy.Start())
			n.t.Cleanup(d.proxy.Stop)
		}
		require.Equal(n.t, d.proxy.Upstream, address.Host)
		address.Host = d.proxy.Listen
		n.kubectl("create", "secret", "generic", service+"-database", "--from-literal=DATABASE_URL="+address.String())
	}
}

func (d *proxiedDatabases) port() string {
	_, port, _ := strings.Cut(d.proxy.Listen, ":")
	return port
}

// slow turns a delay of all the databases' answers on or off.
func (d *proxiedDatabases) slow(t *testing.T, slow bool) {
	t.Helper()
	if !slow {
		require.NoError(t, d.proxy.Toxics.RemoveToxic(t.Context(), "slow"))
		return
	}
	_, err := d.proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"slow","type":"latency","stream":"downstream","attributes":{"latency":600}}`))
	require.NoError(t, err)
}

// watcher is a Prometheus that watches a release.
type watcher struct {
	*namespace
	prometheus v1.API
	// of is the watched namespace.
	of string
}

// watch makes the operator start a Prometheus in m that watches the release in n.
func (m *namespace) watch(n *namespace, image string) *watcher {
	m.t.Helper()
	w := &watcher{namespace: m, of: n.name}
	n.kubectl("label", "namespace", n.name, "watched="+n.name)
	n.apply(fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: prometheus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: %s}]
`, w.name))
	w.apply(fmt.Sprintf(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus}
---
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: test}
spec:
  image: %s
  serviceAccountName: prometheus
  serviceMonitorNamespaceSelector: {matchLabels: {watched: %[2]s}}
  serviceMonitorSelector: {}
  ruleNamespaceSelector: {matchLabels: {watched: %[2]s}}
  ruleSelector: {}
  evaluationInterval: 1s
  securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
`, image, n.name))
	w.eventually("the operator has started Prometheus", func() bool {
		out, err := w.try("wait", "--for=condition=Ready", "pod/prometheus-test-0", "--timeout=10s")
		w.t.Log(out)
		return err == nil
	})
	client, err := api.NewClient(api.Config{Address: "http://" + w.forward("pod/prometheus-test-0", 9090)})
	require.NoError(w.t, err)
	w.prometheus = v1.NewAPI(client)
	return w
}

// pods returns the pods of a query's series, sorted.
func (w *watcher) pods(query string) []string {
	w.t.Helper()
	value, _, _, err := w.prometheus.Query(w.t.Context(), query, time.Now())
	require.NoError(w.t, err)
	var names []string
	for _, sample := range value.(model.Vector) {
		if string(sample.Metric["namespace"]) == w.of {
			names = append(names, string(sample.Metric["pod"]))
		}
	}
	slices.Sort(names)
	return names
}

// fires waits until an alert fires for a service.
func (w *watcher) fires(alert, service string) {
	w.t.Helper()
	w.eventually(alert+" of "+service+" fires", func() bool {
		return slices.Contains(w.firing(), alert+" of "+service)
	})
}

// quiet waits until no alert fires, except alerts whose windows of hours and days still
// include the fault.
func (w *watcher) quiet() {
	w.t.Helper()
	w.eventually("no alert fires", func() bool { return len(w.firing()) == 0 })
}

// firing returns the firing alerts, as ALERT of SERVICE.
func (w *watcher) firing() []string {
	w.t.Helper()
	all, err := w.prometheus.Alerts(w.t.Context())
	require.NoError(w.t, err)
	var firing []string
	for _, a := range all.Alerts {
		// The short window of 1h is 5m; the others have longer ones.
		window := string(a.Labels["window"])
		if a.State == v1.AlertStateFiring && (window == "" || window == "1h") {
			firing = append(firing, fmt.Sprintf("%s of %s", a.Labels["alertname"], a.Labels["job"]))
		}
	}
	return firing
}
