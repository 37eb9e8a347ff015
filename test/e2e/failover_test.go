//go:build e2e

package e2e

import (
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/postgres"
)

// TestADatabaseFailsOver fails a database over during writes, like a managed one: the primary
// becomes read-only, the standby is promoted, the name leads to it, and the old primary stops.
// The pods keep running, each acknowledged write is there once, and writes work again.
func TestADatabaseFailsOver(t *testing.T) {
	n := newNamespace(t)
	servers := postgres.NewPair(t, "user-service", "order-service")
	address := postgres.NewSwitch(t, os.Getenv("E2E_HOST"), servers.Primary.Addr())
	for service := range ports {
		n.kubectl("create", "secret", "generic", service+"-database",
			"--from-literal=DATABASE_URL=postgres://postgres@"+address.Address+"/"+service+"?sslmode=disable")
	}
	_, port, err := net.SplitHostPort(address.Address)
	require.NoError(t, err)
	n.install(installation{images: releases[0], values: postgresValues + "networkPolicy: {database: {port: " + port + "}}\ndefaults: {env: {USER_CLIENT_CACHE_TTL: 0s}}\n"})
	load := n.startLoad(loadRate, "")
	pods := n.podNames()

	servers.ReadOnly(t)
	n.eventually("writes are rejected", func() bool { return len(load.report().failures()) > loadRate })
	began := time.Now()
	servers.Promote(t)
	address.Lead(servers.Standby.Addr())
	promoted := time.Now()
	refused := len(load.report().Writes)
	n.eventually("both services accept writes again", func() bool {
		done := map[string]bool{}
		for _, w := range load.report().Writes[refused:] {
			done[w.Kind] = done[w.Kind] || w.Status == http.StatusCreated
		}
		return done["user"] && done["order"]
	})
	figure("failover of the database: time to promote", promoted.Sub(began).Seconds(), "s")
	figure("failover of the database: from promotion to writes of both services", time.Since(promoted).Seconds(), "s")
	require.NoError(t, servers.Primary.Stop())
	after := len(load.report().Writes)
	n.eventually("writes continue without the old primary", func() bool { return len(load.report().Writes) > after+10*loadRate })

	report := load.stop()
	t.Logf("result: %s", report)
	for _, w := range report.Writes[after:] {
		require.Equal(t, http.StatusCreated, w.Status, "a write still needed the old primary: %+v", w)
	}
	require.Equal(t, pods, n.podNames(), "a pod was replaced")
	for service := range ports {
		for _, p := range n.pods(service) {
			require.Zero(t, p.Status.ContainerStatuses[0].RestartCount, "a pod was restarted")
		}
	}
	lost, doubled := 0, 0
	for kind, at := range map[string]string{
		"user":  n.forward("service/shop-user-service", 8000) + "/api/v1/users",
		"order": n.forward("service/shop-order-service", 8001) + "/api/v1/orders",
	} {
		rows := list(t, "http://"+at)
		for id, count := range rows {
			if count > 1 {
				t.Logf("%s %s is there %d times", kind, id, count)
				doubled++
			}
		}
		for _, w := range report.Writes {
			if w.Kind == kind && w.Status == http.StatusCreated && rows[w.ID] == 0 {
				lost++
			}
		}
	}
	require.Zero(t, lost)
	require.Zero(t, doubled)
	for _, w := range report.failures() {
		require.Equal(t, http.StatusServiceUnavailable, w.Status, "%+v", w)
		require.NotEmpty(t, w.RetryAfter)
	}
	figure("failover of the database: writes rejected with 503", float64(len(report.failures())), "")
	figure("failover of the database: writes lost or doubled", float64(lost+doubled), "")
}
