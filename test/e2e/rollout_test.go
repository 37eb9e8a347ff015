//go:build e2e

package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/collector"
)

// loadRate is the number of writes per second, half of them users, half orders.
const loadRate = 40

// TestNoRequestFailsDuringRollouts sends writes at a constant rate from inside the cluster while pods are
// upgraded, restarted, rolled back and deleted. No write may fail, and in the end there is
// exactly one row and one trace for each.
func TestNoRequestFailsDuringRollouts(t *testing.T) {
	n := newNamespace(t)
	// Without the cache every order needs a lookup, which would fail if user-service were
	// unavailable.
	traces, settings := startCollector(t)
	values := n.postgresMode() + settings + "defaults: {env: {USER_CLIENT_CACHE_TTL: 0s}}\n"
	first := installation{images: releases[0], values: values}
	start := time.Now()
	n.install(first)
	figure("helm install to both ready, PostgreSQL, 2 + 2 pods", time.Since(start).Seconds(), "s")
	for service := range ports {
		require.Len(t, n.pods(service), 2)
	}
	load := n.startLoad(loadRate, "")

	for _, step := range []struct {
		name string
		do   func()
	}{
		{"a new image", func() { n.upgrade(installation{images: releases[1], values: values}) }},
		{"kubectl rollout restart", func() {
			n.kubectl("rollout", "restart", "deployment/shop-user-service", "deployment/shop-order-service")
			n.rolledOut()
		}},
		{"helm rollback", func() { n.helm("rollback", name, "1", "--wait", "--timeout", "3m") }},
		{"a deleted pod", func() {
			for service := range ports {
				n.kubectl("delete", "pod", n.pods(service)[0].Metadata.Name)
			}
			n.rolledOut()
		}},
	} {
		before := n.podNames()
		step.do()
		require.NotEqual(t, before, n.podNames(), "%s replaces pods", step.name)
		report := load.report()
		t.Logf("%s: %s", step.name, report)
		require.Empty(t, report.failures(), step.name)
	}
	for service, image := range releases[0] {
		for _, p := range n.pods(service) {
			require.Contains(t, p.Status.ContainerStatuses[0].ImageID, image[len(image)-64:], "the rollback did not restore the first image")
		}
	}
	for service := range ports {
		figure("memory of a pod under load, "+service, n.resident(service), "MiB")
	}
	report := load.stop()
	t.Logf("result: %s", report)
	require.Empty(t, report.failures())
	figure("writes during four replacements of all pods", float64(len(report.Writes)), "")
	figure("of these writes, failed", 0, "")
	figure("median latency of these writes", report.quantile(0.5).Seconds()*1000, "ms")
	figure("99th percentile of their latency", report.quantile(0.99).Seconds()*1000, "ms")

	for kind, at := range map[string]string{
		"user":  n.forward("service/shop-user-service", 8000) + "/api/v1/users",
		"order": n.forward("service/shop-order-service", 8001) + "/api/v1/orders",
	} {
		want := map[string]int{}
		for _, w := range report.Writes {
			if w.Kind == kind {
				want[w.ID] = 1
			}
		}
		require.NotEmpty(t, want)
		require.Equal(t, want, list(t, "http://"+at), "a write is lost, or has two rows")
	}
	// Running pods send their spans within seconds; pods that ended have sent theirs.
	n.eventually("all traces are complete", func() bool {
		missing := untraced(report, traces.Spans(t))
		if len(missing) > 0 {
			t.Logf("traces of %d of %d writes are missing, such as %q", len(missing), len(report.Writes), missing[0])
		}
		return len(missing) == 0
	})
	figure("of these writes, with an incomplete trace", 0, "")
}

// startCollector starts a collector outside the cluster, and returns it with the chart values
// that send all traces to it.
func startCollector(t *testing.T) (*collector.Collector, string) {
	t.Helper()
	host := os.Getenv("E2E_HOST")
	require.NotEmpty(t, host, "E2E_HOST must be an address of this machine that pods reach")
	c := collector.StartAt(t, host)
	at, err := url.Parse(c.URL)
	require.NoError(t, err)
	return c, fmt.Sprintf("traces: {endpoint: %q, ratio: 1}\nnetworkPolicy: {traces: {port: %s}}\n", c.URL, at.Port())
}

// untraced returns the writes whose traces are incomplete: without the request, or without an
// order's lookup in user-service, unless the order shared another request's lookup.
func untraced(r report, spans []collector.Span) []string {
	requests := map[string]string{} // trace ids by request id
	lookups := map[string]bool{}    // traces with a lookup
	shared := map[string]bool{}     // traces of orders that shared a lookup
	for _, s := range spans {
		switch {
		case s.Server && strings.HasPrefix(s.Name, "POST "):
			requests[s.Attributes["request.id"]] = s.TraceID
			shared[s.TraceID] = slices.Contains(s.Events, "another request asked user-service")
		case s.Server && s.Service == "user-service":
			lookups[s.TraceID] = true
		}
	}
	var missing []string
	for _, w := range r.Writes {
		trace, ok := requests[w.RequestID]
		if !ok || w.Kind == "order" && !lookups[trace] && !shared[trace] {
			missing = append(missing, w.Kind+" "+w.Key)
		}
	}
	return missing
}

// rolledOut waits until all rollouts are complete.
func (n *namespace) rolledOut() {
	n.t.Helper()
	for service := range ports {
		n.kubectl("rollout", "status", "deployment/shop-"+service, "--timeout=3m")
	}
}

// podNames returns the names of all pods that are not terminating.
func (n *namespace) podNames() []string {
	n.t.Helper()
	var names []string
	for service := range ports {
		for _, p := range n.pods(service) {
			names = append(names, p.Metadata.Name)
		}
	}
	slices.Sort(names)
	return names
}

// generator is the pod that sends the load.
type generator struct {
	n       *namespace
	address string
}

// startLoad starts rate writes per second, half of them users and half orders, with the token
// if it isn't "". It waits until rate of them are answered.
func (n *namespace) startLoad(rate int, token string) *generator {
	return n.startLoadOf(rate, token, "")
}

// startLoadOf does the same. Unless deletes is "", it also deletes some users. Loads of different
// rates use different keys and email addresses.
func (n *namespace) startLoadOf(rate int, token, deletes string) *generator {
	n.t.Helper()
	n.apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata:
  name: load
  labels: {app: load}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: load
      image: %s
      env:
        - {name: RATE, value: "%d"}
        - {name: RUN, value: "load-%[2]d"}
        - {name: TOKEN, value: "%s"}
        - {name: DELETES, value: "%s"}
        - {name: USERS_URL, value: "http://shop-user-service:8000"}
        - {name: ORDERS_URL, value: "http://shop-order-service:8001"}
      readinessProbe: {httpGet: {path: /report, port: 8080}, periodSeconds: 1}
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`, loadImage, rate, token, deletes))
	if n.kubectl("get", "networkpolicies", "--output=name") != "" {
		n.apply(`
# Allows the load, which the chart's policies don't know.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: load}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/part-of: microservices}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: load}}}]
`)
	}
	n.kubectl("wait", "--for=condition=Ready", "pod/load", "--timeout=1m")
	g := &generator{n: n, address: n.forward("pod/load", 8080)}
	n.eventually("the load is answered", func() bool { return len(g.report().Writes) > rate })
	return g
}

func (g *generator) report() report { return g.ask(http.MethodGet, "/report") }

// stop ends the load, and returns the whole report.
func (g *generator) stop() report { return g.ask(http.MethodPost, "/stop") }

func (g *generator) ask(method, path string) report {
	g.n.t.Helper()
	a := ask(g.n.t, method, "http://"+g.address+path, "")
	require.Equal(g.n.t, http.StatusOK, a.status, a.body)
	var r report
	require.NoError(g.n.t, json.Unmarshal([]byte(a.body), &r))
	return r
}

// report is the load's Report.
type report struct{ Writes []write }

type write struct {
	Kind, Key, ID, Error, RequestID, RetryAfter string
	At, Took                                    time.Duration
	Status                                      int
}

// failures returns the writes that failed.
func (r report) failures() []write {
	var failed []write
	for _, w := range r.Writes {
		want := map[string]int{"deletion": http.StatusNoContent}[w.Kind]
		if w.Status != cmp.Or(want, http.StatusCreated) || w.ID == "" {
			failed = append(failed, w)
		}
	}
	return failed
}

// quantile returns the q-quantile of the latencies.
func (r report) quantile(q float64) time.Duration {
	took := make([]time.Duration, len(r.Writes))
	for i, w := range r.Writes {
		took[i] = w.Took
	}
	slices.Sort(took)
	return took[int(q*float64(len(took)-1))]
}

func (r report) String() string {
	return fmt.Sprintf("%d writes, %d failed, median %v, p99 %v, longest %v",
		len(r.Writes), len(r.failures()), r.quantile(0.5), r.quantile(0.99), r.quantile(1))
}
