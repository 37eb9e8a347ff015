//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// metricsService directs the cluster's requests for metrics to the stand-in for metrics-server.
const metricsService = `
apiVersion: v1
kind: Service
metadata: {name: metrics-stand-in, namespace: argocd}
spec:
  ports: [{name: https, port: 443}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-stand-in, namespace: argocd, labels: {kubernetes.io/service-name: metrics-stand-in}}
addressType: IPv4
endpoints: [{addresses: [%q], conditions: {ready: true}}]
ports: [{name: https, port: %d}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: metrics-stand-in, namespace: argocd}
`

// standInForMetrics replaces metrics-server, without which autoscalers are Degraded. It reports
// low usage for the pods of one namespace, and no metrics for others. If the cluster has a
// metrics-server, it does nothing.
func standInForMetrics(t *testing.T, n *namespace) {
	t.Helper()
	if n.kubectl("get", "apiservices.apiregistration.k8s.io", "v1beta1.metrics.k8s.io", "--ignore-not-found") != "" {
		return
	}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, value any) {
		w.Header().Set("Content-Type", "application/json")
		err := json.NewEncoder(w).Encode(value)
		if err != nil {
			t.Errorf("answer with metrics: %v", err)
		}
	}
	type object = map[string]any
	mux.HandleFunc("GET /apis/metrics.k8s.io/v1beta1", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1", "resources": []object{
			{"name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": []string{"get", "list"}},
		}})
	})
	mux.HandleFunc("GET /apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods", func(w http.ResponseWriter, r *http.Request) {
		items := []object{}
		if r.PathValue("namespace") == n.name {
			out, err := n.try("get", "pods", "--selector="+r.URL.Query().Get("labelSelector"), "--output=jsonpath={range .items[*]}{.metadata.name} {.spec.containers[0].name}{\"\\n\"}{end}")
			if err != nil {
				http.Error(w, out, http.StatusInternalServerError)
				return
			}
			for line := range strings.Lines(out) {
				pod, container, _ := strings.Cut(strings.TrimSpace(line), " ")
				items = append(items, object{
					"metadata": object{"name": pod, "namespace": n.name}, "timestamp": time.Now().UTC().Format(time.RFC3339), "window": "30s",
					"containers": []object{{"name": container, "usage": object{"cpu": "5m", "memory": "32Mi"}}},
				})
			}
		}
		answer(w, object{"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": object{}, "items": items})
	})
	// PostgreSQL uses this address, too: it is the only one of this machine that the node reaches.
	host := os.Getenv("E2E_HOST")
	listener, err := net.Listen("tcp", host+":0")
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(mux)
	require.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.StartTLS()
	t.Cleanup(server.Close)
	// Delete it before its server stops and before any namespace: while an API is unavailable,
	// no namespace can be removed.
	t.Cleanup(func() { n.kubectl("delete", "apiservices.apiregistration.k8s.io", "v1beta1.metrics.k8s.io") })
	argo := &namespace{t: t, name: "argocd"}
	argo.apply(fmt.Sprintf(metricsService, host, listener.Addr().(*net.TCPAddr).Port))
	n.kubectl("wait", "--for=condition=Available", "apiservices.apiregistration.k8s.io/v1beta1.metrics.k8s.io", "--timeout=1m")
}
