package system

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/collector"
	"github.com/example/microservices/internal/testkit/process"
)

// TestTheLogsAreShipped runs the collector of k8s/logs.yaml on real logs of the services, in
// the files that containerd would write on a node.
func TestTheLogsAreShipped(t *testing.T) {
	receiver := collector.Start(t)
	services := startTraced(t, receiver.URL, databases["sqlite"])
	user := process.CreateUser(t, services.users)
	status, _, trace := client{t, httpClient(t)}.send(http.MethodPost, services.orders.URL+"/api/v1/orders", orderFor(user), true)
	require.Equal(t, http.StatusCreated, status)
	services.stop(t)

	pods := t.TempDir()
	for container, log := range map[string]string{
		"user-service/user-service": services.users.Log(), "order-service/order-service": services.orders.Log() + "panic: not JSON\n",
		"user-service/migrate": "fatal error: out of memory\n", "order-service/migrate": "goroutine 1 [running]:\n",
		"cart-service/migrate": "nobody asked for it\n",
	} {
		service, name, _ := strings.Cut(container, "/")
		dir := filepath.Join(pods, "shops_shop-"+service+"-5d4f8c7b9-x2x4z_0b1c2d3e-0000-4000-8000-000000000000", name)
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
		`{"key":"k8s.pod.name","value":{"stringValue":"shop-order-service-5d4f8c7b9-x2x4z"}}`,
		`{"key":"k8s.namespace.name","value":{"stringValue":"shops"}}`,
		`"severityText":"INFO"`,
		`"body":{"stringValue":"request"}`,
	} {
		apitest.Eventually(t, want, func() bool { return strings.Contains(shipped.Received(), want) })
	}
	// Lines that aren't JSON have a service and a severity as well.
	for _, want := range []string{
		"order-service ERROR panic: not JSON", "user-service ERROR fatal error: out of memory", "order-service ERROR goroutine 1 [running]:",
	} {
		apitest.Eventually(t, want, func() bool { return slices.Contains(shippedLines(t, shipped), want) })
	}
	require.NotContains(t, shipped.Received(), "nobody asked for it")
}

// shippedLines returns the shipped lines as SERVICE SEVERITY BODY.
func shippedLines(t *testing.T, c *collector.Collector) []string {
	t.Helper()
	var lines []string
	for each := json.NewDecoder(strings.NewReader(c.Received())); each.More(); {
		type text struct{ StringValue string }
		var sent struct {
			ResourceLogs []struct {
				Resource struct {
					Attributes []struct {
						Key   string
						Value text
					}
				}
				ScopeLogs []struct {
					LogRecords []struct {
						SeverityText string
						Body         text
					}
				}
			}
		}
		require.NoError(t, each.Decode(&sent))
		for _, resource := range sent.ResourceLogs {
			service := ""
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					service = a.Value.StringValue
				}
			}
			for _, scope := range resource.ScopeLogs {
				for _, record := range scope.LogRecords {
					lines = append(lines, strings.Join([]string{service, record.SeverityText, record.Body.StringValue}, " "))
				}
			}
		}
	}
	return lines
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
