package system

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/example/microservices/test/apitest"
	"github.com/example/microservices/test/collector"
	"github.com/example/microservices/test/process"
)

// TestTheLogsAreShipped runs the collector of k8s/logs.yaml on what the services
// really log, as containerd would have it on a node.
func TestTheLogsAreShipped(t *testing.T) {
	receiver := collector.Start(t)
	services := startTraced(t, receiver.URL, databases["sqlite"])
	user := process.CreateUser(t, services.users)
	status, _, trace := client{t, httpClient(t)}.send(http.MethodPost, services.orders.URL+"/api/v1/orders", orderFor(user), true)
	require.Equal(t, http.StatusCreated, status)
	services.stop(t)

	pods := t.TempDir()
	for name, log := range map[string]string{"user-service": services.users.Log(), "order-service": services.orders.Log() + "panic: not JSON\n"} {
		dir := filepath.Join(pods, "shops_"+name+"-5d4f8c7b9-x2x4z_0b1c2d3e-0000-4000-8000-000000000000", name)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		var lines strings.Builder
		for line := range strings.Lines(log) {
			fmt.Fprintf(&lines, "%s stderr F %s", time.Now().UTC().Format(time.RFC3339Nano), line)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "0.log"), []byte(lines.String()), 0o600))
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte(logConfig(t)), 0o600))
	shipped := collector.Run(t, "file:"+config, "PODS="+pods, "STATE="+t.TempDir(), "LOKI=%SINK%")
	for _, want := range []string{
		`"traceId":"` + trace + `"`,
		`{"key":"service.name","value":{"stringValue":"user-service"}}`,
		`{"key":"service.name","value":{"stringValue":"order-service"}}`,
		`{"key":"k8s.pod.name","value":{"stringValue":"order-service-5d4f8c7b9-x2x4z"}}`,
		`{"key":"k8s.namespace.name","value":{"stringValue":"shops"}}`,
		`"severityText":"INFO"`,
		`"body":{"stringValue":"request"}`,
		`"body":{"stringValue":"panic: not JSON"}`,
	} {
		apitest.Eventually(t, want, func() bool { return strings.Contains(shipped.Received(), want) })
	}
}

// logConfig is the collector's configuration in k8s/logs.yaml.
func logConfig(t *testing.T) string {
	t.Helper()
	manifests, err := os.ReadFile("../../k8s/logs.yaml")
	require.NoError(t, err)
	for document := range strings.SplitSeq(string(manifests), "\n---\n") {
		var object struct {
			Kind string
			Data map[string]string
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		if object.Kind == "ConfigMap" {
			return object.Data["config.yaml"]
		}
	}
	t.Fatal("k8s/logs.yaml has no ConfigMap")
	return ""
}
