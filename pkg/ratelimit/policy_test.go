package ratelimit_test

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/redis"
	"github.com/example/microservices/pkg/ratelimit"
)

// TestARedisThatCannotWrite: a Redis that is out of memory, or has become a
// replica, answers but can't write.
func TestARedisThatCannotWrite(t *testing.T) {
	server := redis.Start(t)
	client := server.Client()
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	limit := ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 1} // the checks must not use it up
	metrics := prometheus.NewRegistry()
	policies, err := ratelimit.NewPolicies(ratelimit.PolicyConfig{
		ReadLimit: limit, WriteLimit: limit, LimitRedisURL: server.URL, LimitReplicas: 4,
	}, "shop", slog.New(slog.DiscardHandler), metrics)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, policies.Close()) })
	check := policies.Dependencies()[0].Check
	eventually := func(is func(error) bool) { // a busy machine may need more time than a check has
		t.Helper()
		require.Eventually(t, func() bool { return is(check(t.Context())) }, time.Minute, time.Millisecond)
	}
	well := func(err error) bool { return err == nil }
	for range 3 {
		eventually(well)
	}
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	require.NoError(t, client.Ping(t.Context()).Err())
	eventually(func(err error) bool { return err != nil && strings.Contains(err.Error(), "OOM") })
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "0").Err())
	eventually(well)
	require.True(t, policies.Read.Allow(t.Context(), "ada").Allowed)
}

// TestARedisThatHangs: the connection stays open, without answers. The check fails, from
// then on no request asks Redis, and each replica enforces its share. When Redis answers
// again, it counts again.
func TestARedisThatHangs(t *testing.T) {
	server := redis.Listen(t, "127.0.0.1")
	at, err := url.Parse(server.URL)
	require.NoError(t, err)
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "redis", "127.0.0.1:0", at.Host)
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	at.Host = proxy.Listen

	metrics := prometheus.NewRegistry()
	limit := ratelimit.Limit{Requests: 40, Period: time.Hour, Burst: 40}
	policies, err := ratelimit.NewPolicies(ratelimit.PolicyConfig{
		ReadLimit: limit, WriteLimit: limit, LimitRedisURL: at.String(), LimitReplicas: 4,
	}, "shop", slog.New(slog.DiscardHandler), metrics)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, policies.Close()) })
	check := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return policies.Dependencies()[0].Check(ctx)
	}
	away := func(value string) {
		t.Helper()
		require.NoError(t, testutil.GatherAndCompare(metrics, strings.NewReader(`
# HELP rate_limit_store_away 1 while each replica enforces its own share of the rate limits, because the last check of RATE_LIMIT_REDIS_URL failed.
# TYPE rate_limit_store_away gauge
rate_limit_store_away `+value+"\n"), "rate_limit_store_away"))
	}
	admitted := func(caller string) (n int) {
		for range 60 {
			if policies.Write.Allow(t.Context(), caller).Allowed {
				n++
			}
		}
		return n
	}
	require.NoError(t, check())
	require.Equal(t, 40, admitted("before"))
	away("0")

	_, err = proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"x","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`))
	require.NoError(t, err)
	require.Error(t, check())
	away("1")
	require.Equal(t, 10, admitted("while it hangs"), "a quarter: there are four replicas")

	require.NoError(t, proxy.Toxics.RemoveToxic(t.Context(), "x"))
	require.NoError(t, check())
	away("0")
	require.Equal(t, 40, admitted("after"))
}
