//go:build e2e

package compose

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/session"
)

// TestObserve: make observe starts a Prometheus that scrapes both services, and a Jaeger that
// gets their traces. Grafana is a fake that reports its provisioned dashboards and data
// sources.
func TestObserve(t *testing.T) {
	p := newProject(t).with("COMPOSE_FILE=docker-compose.yml:test/compose/fakegrafana.yml")
	out, _ := p.must(t, "make", "observe")
	require.Equal(t, fmt.Sprintf("user-service   http://%s/docs\norder-service  http://%s/docs\ngrafana        http://%s\nprometheus     http://%s\njaeger         http://%s\n",
		p.users, p.orders, p.grafana, p.prometheus, p.jaeger), out)
	session.Run(t, root, p.users, p.orders)

	apitest.Eventually(t, "Prometheus has scraped both services", func() bool {
		return len(p.ask(t, `up == 1`)) == 2 && len(p.ask(t, `http_server_request_duration_seconds_count{route="/api/v1/orders"}`)) > 0
	})
	apitest.Eventually(t, "Jaeger has a trace of both services", func() bool { return p.traceOfBoth(t) })

	apitest.Eventually(t, "Grafana can reach both", func() bool {
		return answers(p.grafana, "/datasources/Prometheus") && answers(p.grafana, "/datasources/Jaeger")
	})
	var titles []string
	require.Equal(t, http.StatusOK, get(t, p.grafana, "/dashboards", &titles))
	require.ElementsMatch(t, []string{"Microservices / Overview", "Microservices / user-service", "Microservices / order-service"}, titles)

	for _, c := range p.containers(t) {
		require.True(t, c.HostConfig.ReadonlyRootfs, c.Name)
		require.Equal(t, []string{"ALL"}, c.HostConfig.CapDrop, c.Name)
	}
	p.must(t, "make", "compose-down")
	require.Empty(t, p.compose(t, "--profile", "observability", "ps", "--all", "--quiet"))
}

// ask sends a query to Prometheus.
func (p project) ask(t *testing.T, query string) []json.RawMessage {
	t.Helper()
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if !answers(p.prometheus, "/-/ready") {
		return nil
	}
	require.Equal(t, http.StatusOK, get(t, p.prometheus, "/api/v1/query?query="+url.QueryEscape(query), &answer))
	return answer.Data.Result
}

// traceOfBoth reports whether Jaeger has a trace in which both services took part.
func (p project) traceOfBoth(t *testing.T) bool {
	t.Helper()
	if !answers(p.jaeger, "/api/services") {
		return false
	}
	var found struct {
		Data []struct {
			Processes map[string]struct{ ServiceName string }
		}
	}
	require.Equal(t, http.StatusOK, get(t, p.jaeger, "/api/traces?service=order-service&limit=100", &found))
	for _, trace := range found.Data {
		var services []string
		for _, process := range trace.Processes {
			services = append(services, process.ServiceName)
		}
		if strings.Contains(strings.Join(services, " "), "user-service") {
			return true
		}
	}
	return false
}

func answers(address, path string) bool {
	response, err := http.Get("http://" + address + path)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
