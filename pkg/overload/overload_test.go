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

// withoutQueue is for gates in a bubble: the processors outside of it may be busy.
func withoutQueue(g *Gates) *Gates {
	g.queue.waiting = func() float64 { return 0 }
	return g
}

// fixed returns gates whose bound doesn't move.
func fixed(n int) (*Gates, *prometheus.Registry) {
	r := prometheus.NewRegistry()
	return withoutQueue(New(Limits{n, n}, r)), r
}

func TestNoMoreThanTheBoundAreUnderWay(t *testing.T) {
	gates, registry := fixed(2)
	a, ok := gates.Enter(true)
	require.True(t, ok)
	b, ok := gates.Enter(true)
	require.True(t, ok)
	_, ok = gates.Enter(true)
	require.False(t, ok)
	write, ok := gates.Enter(false)
	require.True(t, ok, "reads don't keep writes out")
	write.Done()

	a.Done()
	a.Done() // once is enough
	a.Drop()
	c, ok := gates.Enter(true)
	require.True(t, ok)
	_, ok = gates.Enter(true)
	require.False(t, ok)
	b.Drop()
	c.Drop()
	require.Equal(t, 0, gates.read.limiter.Inflight())

	refused, err := testutil.GatherAndCount(registry, "overload_refused_total", "overload_concurrency_limit")
	require.NoError(t, err)
	require.Equal(t, 6, refused, "two kinds, of refusals by two causes")
	require.InDelta(t, 2, testutil.ToFloat64(gates.read.byLimit), 0)
	require.InDelta(t, 0, testutil.ToFloat64(gates.write.byLimit), 0)
}

func TestWithoutABoundEverythingIsLetIn(t *testing.T) {
	gates := New(Limits{}, prometheus.NewRegistry())
	for range 10_000 {
		slot, ok := gates.Enter(false)
		require.True(t, ok)
		slot.Drop()
		require.True(t, slot.Resume(t.Context()))
		slot.Done()
	}
	require.Nil(t, From(t.Context()))
}

// TestWhoWaitsComesBeforeWhoArrives: what has been spent on a request isn't thrown
// away for one that has just come.
func TestWhoWaitsComesBeforeWhoArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gates, _ := fixed(1)
		slow, ok := gates.Enter(false)
		require.True(t, ok)
		slow.Drop() // its body isn't there yet
		other, ok := gates.Enter(false)
		require.True(t, ok)
		resumed := make(chan bool)
		go func() { resumed <- slow.Resume(t.Context()) }()
		synctest.Wait()
		other.Done()
		_, ok = gates.Enter(false)
		require.False(t, ok)
		require.True(t, <-resumed)
		slow.Done()
		require.Equal(t, 0, gates.write.limiter.Inflight())
	})
}

func TestNobodyWaitsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gates, _ := fixed(1)
		slow, _ := gates.Enter(false)
		slow.Drop()
		other, _ := gates.Enter(false)
		began := time.Now()
		require.False(t, slow.Resume(t.Context()))
		require.Equal(t, resumeWait, time.Since(began))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.False(t, slow.Resume(ctx))
		require.Equal(t, resumeWait, time.Since(began))
		other.Done()
		require.True(t, slow.Resume(t.Context()))
		slow.Done()
	})
}

func TestTheSlotIsInTheContext(t *testing.T) {
	gates, _ := fixed(1)
	slot, _ := gates.Enter(true)
	require.Same(t, slot, From(With(t.Context(), slot)))
	slot.Done()
}

func BenchmarkEnter(b *testing.B) {
	gates := New(Limits{20, 500}, prometheus.NewRegistry())
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			slot, ok := gates.Enter(true)
			if ok {
				slot.Done()
			}
		}
	})
}
