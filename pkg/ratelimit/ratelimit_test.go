package ratelimit_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/redis"
	"github.com/example/microservices/pkg/ratelimit"
)

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]ratelimit.Limit{
		"0":         {},
		"100/s":     {Requests: 100, Period: time.Second, Burst: 100},
		"600/m:50":  {Requests: 600, Period: time.Minute, Burst: 50},
		"1/h:1":     {Requests: 1, Period: time.Hour, Burst: 1},
		"1000000/s": {Requests: 1_000_000, Period: time.Second, Burst: 1_000_000},
	} {
		got, err := ratelimit.ParseLimit(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		again, err := ratelimit.ParseLimit(got.String())
		require.NoError(t, err)
		require.Equal(t, want, again)
	}
	for _, text := range []string{"", "100", "100/d", "/s", "0/s", "-1/s", "1/s:0", "1/s:", "1/s:x", "1.5/s", "1000001/s", "1/s:1000001", "100 /s", "off"} {
		_, err := ratelimit.ParseLimit(text)
		require.ErrorContains(t, err, "such as 100/s:500", text)
	}
}

// TestLocal: the burst at once, then the rate, separately for each caller.
func TestLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, err := ratelimit.NewLocal(ratelimit.Limit{Requests: 10, Period: time.Second, Burst: 3}, 100)
		require.NoError(t, err)
		for _, remaining := range []int{2, 1, 0} {
			d := limiter.Allow(t.Context(), "ada")
			require.True(t, d.Allowed)
			require.Equal(t, remaining, d.Remaining)
			require.Zero(t, d.RetryAfter)
		}
		d := limiter.Allow(t.Context(), "ada")
		require.False(t, d.Allowed)
		require.Equal(t, 100*time.Millisecond, d.RetryAfter)
		require.Equal(t, 300*time.Millisecond, d.Reset)
		require.True(t, limiter.Allow(t.Context(), "grace").Allowed)

		time.Sleep(d.RetryAfter - 1)
		require.False(t, limiter.Allow(t.Context(), "ada").Allowed)
		time.Sleep(time.Nanosecond)
		require.True(t, limiter.Allow(t.Context(), "ada").Allowed)
		require.False(t, limiter.Allow(t.Context(), "ada").Allowed)
		time.Sleep(time.Hour)
		for range 3 {
			require.True(t, limiter.Allow(t.Context(), "ada").Allowed)
		}
		require.False(t, limiter.Allow(t.Context(), "ada").Allowed)
	})
}

// TestLocalForgetsIdleCallers: many different callers don't use memory for ever.
func TestLocalForgetsIdleCallers(t *testing.T) {
	limiter, err := ratelimit.NewLocal(ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 1}, 2)
	require.NoError(t, err)
	for _, caller := range []string{"a", "b", "c"} {
		require.True(t, limiter.Allow(t.Context(), caller).Allowed)
	}
	require.False(t, limiter.Allow(t.Context(), "c").Allowed)
	require.True(t, limiter.Allow(t.Context(), "a").Allowed, "the caller that was idle longest is forgotten")
}

// count asks several limiters concurrently, and returns how many requests are allowed.
func count(t *testing.T, asks int, limiters ...func() ratelimit.Decision) int {
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for _, ask := range limiters {
		for range 8 {
			wg.Go(func() {
				for range asks / 8 {
					if ask().Allowed {
						allowed.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	return int(allowed.Load())
}

func TestLocalIsExactWhateverTheConcurrency(t *testing.T) {
	limiter, err := ratelimit.NewLocal(ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 500}, 10)
	require.NoError(t, err)
	require.Equal(t, 500, count(t, 4000, func() ratelimit.Decision { return limiter.Allow(t.Context(), "ada") }))
}

// replica is the limiter of one replica, with the changes it reported.
type replica struct {
	*ratelimit.Shared
	away atomic.Bool
	told atomic.Int64
}

func replicas(t *testing.T, server *redis.Server, n int, limit ratelimit.Limit) []*replica {
	all := make([]*replica, n)
	for i := range all {
		client := server.Client()
		t.Cleanup(func() { require.NoError(t, client.Close()) })
		r := &replica{}
		shared, err := ratelimit.NewShared("write", limit, client, n, 100, func(away bool) {
			r.away.Store(away)
			r.told.Add(1)
		}, nil)
		require.NoError(t, err)
		r.Shared, all[i] = shared, r
	}
	return all
}

func TestSharedIsOneLimitForAllReplicas(t *testing.T) {
	server := redis.Start(t)
	all := replicas(t, server, 3, ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 600})
	var asks []func() ratelimit.Decision
	for _, r := range all {
		asks = append(asks, func() ratelimit.Decision { return r.Allow(t.Context(), "ada") })
	}
	// On a busy machine an answer may exceed its timeout, and the replica counts that
	// request itself: a few per cent.
	require.InEpsilon(t, 600, count(t, 800, asks...), 0.05)
	d := all[0].Allow(t.Context(), "ada")
	require.False(t, d.Allowed)
	require.Positive(t, d.RetryAfter)
	require.True(t, all[0].Allow(t.Context(), "grace").Allowed)
}

// TestWithoutRedisEachReplicaHasItsShare: without Redis the limit neither disappears nor
// rejects everything.
func TestWithoutRedisEachReplicaHasItsShare(t *testing.T) {
	server := redis.Start(t)
	all := replicas(t, server, 3, ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 600})
	server.Kill()
	total := 0
	for _, r := range all {
		one := count(t, 400, func() ratelimit.Decision { return r.Allow(t.Context(), "ada") })
		require.Equal(t, 200, one)
		require.True(t, r.away.Load())
		total += one
	}
	require.Equal(t, 600, total)

	server.Start()
	for _, r := range all {
		apitest.Eventually(t, "the count is shared again", func() bool {
			r.Allow(t.Context(), "grace")
			return !r.away.Load()
		})
		require.EqualValues(t, 2, r.told.Load(), "one report when Redis fails, one when it is back")
	}
}
