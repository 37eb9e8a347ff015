//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/redis"
)

// TestThreeReplicasShareALimit: three pods enforce one limit through a Redis outside the
// cluster. While it is down, each pod enforces a third of the limit. When it is back, they
// share one limit again.
func TestThreeReplicasShareALimit(t *testing.T) {
	t.Parallel()
	const limit, tolerance = 210, 210 * 5 / 100
	n := newNamespace(t)
	store := redis.Listen(t, os.Getenv("E2E_HOST"))
	at, err := url.Parse(store.URL)
	require.NoError(t, err)
	n.kubectl("create", "secret", "generic", "valkey", "--from-literal=RATE_LIMIT_REDIS_URL="+store.URL)
	n.install(installation{images: releases[0], values: strings.Replace(n.postgresMode(), "user-service: {", "user-service: {replicas: 3, ", 1) + `
rateLimit: {read: 210/h, redis: {existingSecret: valkey}}
networkPolicy: {redis: {port: ` + at.Port() + `}}
`})
	var pods, admins []string
	for _, p := range n.pods("user-service") {
		pods = append(pods, n.forward("pod/"+p.Metadata.Name, 8000))
		admins = append(admins, n.forward("pod/"+p.Metadata.Name, adminPort))
	}
	require.Len(t, pods, 3)
	// Through port-forwards, all requests come from the pods' own localhost, so they count as
	// one caller's.
	admitted := 0
	send := func(pod string) {
		a := ask(t, http.MethodGet, "http://"+pod+"/api/v1/users", "")
		require.Contains(t, []int{http.StatusOK, http.StatusTooManyRequests}, a.status, a.body)
		if a.status == http.StatusOK {
			admitted++
		}
	}
	count := func() int {
		for range limit / 2 { // one and a half times the limit
			for _, pod := range pods {
				send(pod)
			}
		}
		return admitted
	}
	require.InDelta(t, limit, count(), tolerance)

	store.Kill()
	admitted = 0
	for i, pod := range pods {
		n.eventually("a pod counts alone", func() bool {
			send(pod)
			return metric(t, admins[i], "rate_limit_store_away") == "1"
		})
		require.Equal(t, http.StatusOK, ask(t, http.MethodGet, "http://"+pod+"/health/ready", "").status)
	}
	require.InDelta(t, limit, count(), tolerance, "each pod allows a third")

	store.Start() // with empty counts
	admitted = 0
	for i, pod := range pods {
		n.eventually("a pod shares the count again", func() bool {
			send(pod)
			return metric(t, admins[i], "rate_limit_store_away") == "0"
		})
	}
	require.InDelta(t, limit, count(), tolerance)
}
