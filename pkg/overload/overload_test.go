package overload

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func TestLimitsAsText(t *testing.T) {
	for text, want := range map[string]Limits{"0": {}, "20:500": {20, 500}, "1:1": {1, 1}, "7:100000": {7, 100_000}} {
		got := Limits{1, 2}
		require.NoError(t, got.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, text := range []string{"", "20", "0:20", "20:10", "-1:5", "a:b", "20:", ":20", "1:100001", "20 : 30", "adaptive"} {
		require.ErrorContains(t, new(Limits).UnmarshalText([]byte(text)), "such as 20:500", text)
	}
}

// withoutQueue is for gates in a bubble, where the CPU queue outside doesn't matter.
func withoutQueue(g *Gates) *Gates {
	g.queue.waiting = func() float64 { return 0 }
	return g
}

// fixed returns gates with a fixed limit.
func fixed(n int) (*Gates, *prometheus.Registry) {
	r := prometheus.NewRegistry()
	return withoutQueue(New(Limits{n, n}, r)), r
}

func enter(t testing.TB, g *Gates, reads bool) (Slot, bool) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // reject requests that would have to wait
	return g.Enter(ctx, reads, false)
}

func TestConcurrentRequestsAreLimited(t *testing.T) {
	gates, registry := fixed(2)
	a, ok := enter(t, gates, true)
	require.True(t, ok)
	b, ok := enter(t, gates, true)
	require.True(t, ok)
	_, ok = enter(t, gates, true)
	require.False(t, ok)
	write, ok := enter(t, gates, false)
	require.True(t, ok, "reads don't take the writes' slots")
	write.Done()

	a.Done()
	a.Done() // has no effect
	a.Drop()
	c, ok := enter(t, gates, true)
	require.True(t, ok)
	_, ok = enter(t, gates, true)
	require.False(t, ok)
	b.Drop()
	c.Drop()
	require.Equal(t, 0, gates.read.limiter.Inflight())

	refused, err := testutil.GatherAndCount(registry, "overload_refused_total", "overload_concurrency_limit")
	require.NoError(t, err)
	require.Equal(t, 6, refused, "two kinds, with rejections for two causes")
	require.InDelta(t, 2, testutil.ToFloat64(gates.read.byLimit), 0)
	require.InDelta(t, 0, testutil.ToFloat64(gates.write.byLimit), 0)
}

func TestWithoutALimitEverythingIsAdmitted(t *testing.T) {
	gates := New(Limits{}, prometheus.NewRegistry())
	for range 10_000 {
		slot, ok := gates.Enter(t.Context(), false, false)
		require.True(t, ok)
		slot.Drop()
		slot.Done()
	}
}

// TestABurstIsQueued: 500 requests at once, of which 150 get a slot at first, on an
// idle service that takes 150 ms for each.
func TestABurstIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gates := withoutQueue(New(Limits{20, 500}, prometheus.NewRegistry()))
		answers := make(chan bool)
		for range 500 {
			go func() {
				slot, ok := gates.Enter(t.Context(), false, false)
				time.Sleep(150 * time.Millisecond)
				slot.Done()
				answers <- ok
			}()
		}
		for range 500 {
			require.True(t, <-answers)
		}
	})
}

// TestRequestsAreRejectedAtOnceInAnOverload: requests that could only be answered late are rejected at
// once.
func TestRequestsAreRejectedAtOnceInAnOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gates, _ := fixed(1)
		first, ok := gates.Enter(t.Context(), false, false)
		require.True(t, ok)
		began := time.Now()
		_, ok = gates.Enter(t.Context(), false, false)
		require.False(t, ok)
		require.Equal(t, maxWait, time.Since(began), "at first, a request waits as in a burst")
		_, ok = gates.Enter(t.Context(), false, false)
		require.False(t, ok)
		require.Equal(t, maxWait, time.Since(began), "in an overload, a request is rejected at once")
		first.Done()
		time.Sleep(calm)
		first, ok = gates.Enter(t.Context(), false, false)
		require.True(t, ok)
		time.AfterFunc(maxWait/2, first.Done)
		second, ok := gates.Enter(t.Context(), false, false)
		require.True(t, ok, "after a calm, a request waits again")
		second.Done()
		require.Equal(t, 0, gates.write.limiter.Inflight())
	})
}

func BenchmarkEnter(b *testing.B) {
	gates := New(Limits{20, 500}, prometheus.NewRegistry())
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			slot, ok := gates.Enter(b.Context(), true, false)
			if ok {
				slot.Done()
			}
		}
	})
}
