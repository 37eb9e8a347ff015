package overload

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

func newMemory(mib int64) *Memory {
	return NewMemory(MemoryConfig{RequestMemoryMiB: mib}, prometheus.NewRegistry())
}

// TestOneCallerHoldsAtMostItsShare: a caller who asks for everything leaves the rest to others.
func TestOneCallerHoldsAtMostItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(4)
		greedy, err := m.Reserve(t.Context(), "greedy", 100*mebibyte, false)
		require.NoError(t, err, "more than the share counts as the share")
		began := time.Now()
		_, err = m.Reserve(t.Context(), "greedy", 1, false)
		require.ErrorIs(t, err, ErrShare)
		require.Equal(t, maxWait, time.Since(began))
		var others []Reservation
		for _, caller := range []string{"a", "b", "c"} {
			r, err := m.Reserve(t.Context(), caller, mebibyte, false)
			require.NoError(t, err)
			others = append(others, r)
		}
		_, err = m.Reserve(t.Context(), "d", 1, false)
		require.ErrorIs(t, err, ErrFull)
		require.InDelta(t, 1, testutil.ToFloat64(m.byAll), 0)
		require.InDelta(t, 1, testutil.ToFloat64(m.byCaller), 0)

		given := make(chan struct{})
		time.Sleep(calm)
		time.AfterFunc(maxWait/2, func() { greedy.Shrink(mebibyte - 20); close(given) })
		r, err := m.Reserve(t.Context(), "d", 10, false)
		require.NoError(t, err, "released memory goes to a waiting caller")
		<-given
		everybody, err := m.Reserve(t.Context(), "", 10, false)
		require.NoError(t, err, "callers without a token have no share")
		for _, held := range append(others, greedy, r, everybody) {
			held.Release()
			held.Release() // has no effect
		}
		require.Empty(t, m.callers, "callers without memory are forgotten")
		require.True(t, m.all.TryAcquire(4*mebibyte))
	})
}

// TestOneCallersConcurrentWritesAreLimited: one caller's writes are limited. Reads and other
// callers are not affected.
func TestOneCallersConcurrentWritesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(64)
		var held []Reservation
		for range maxWrites {
			r, err := m.Reserve(t.Context(), "ada", 1, true)
			require.NoError(t, err)
			held = append(held, r)
		}
		_, err := m.Reserve(t.Context(), "ada", 1, true)
		require.ErrorIs(t, err, ErrShare)
		for _, other := range []struct {
			caller  string
			changes bool
		}{{"ada", false}, {"bob", true}, {"", true}} {
			r, err := m.Reserve(t.Context(), other.caller, 1, other.changes)
			require.NoError(t, err)
			held = append(held, r)
		}
		for _, r := range held {
			r.Release()
		}
		require.Empty(t, m.callers)
	})
}

// TestAReservationGrows: it grows as a body arrives, so a client that announces much and
// sends little holds little.
func TestAReservationGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(4)
		a, err := m.Reserve(t.Context(), "ada", 10, false)
		require.NoError(t, err)
		b, err := m.Reserve(t.Context(), "ada", mebibyte-30, false)
		require.NoError(t, err)
		require.NoError(t, a.Grow(t.Context(), 30))
		require.NoError(t, a.Grow(t.Context(), 20), "the reservation has that much already")
		require.ErrorIs(t, a.Grow(t.Context(), 31), ErrShare)
		b.Release()
		require.NoError(t, a.Grow(t.Context(), 100*mebibyte), "grows to the share at most")
		_, err = m.Reserve(t.Context(), "ada", 1, false)
		require.ErrorIs(t, err, ErrShare)
		a.Release()
		require.Empty(t, m.callers)
		require.True(t, m.all.TryAcquire(4*mebibyte))
		require.NoError(t, new(Reservation).Grow(t.Context(), 10), "a service without a limit")
	})
}

func TestACanceledCallerGetsNoMemory(t *testing.T) {
	m := newMemory(4)
	held, err := m.Reserve(t.Context(), "a", mebibyte, false)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.Reserve(ctx, "a", 1, false)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, testutil.ToFloat64(m.byCaller))
	held.Release()
	require.Empty(t, m.callers)
}

// TestTheMemoryIsNeverExceeded by many concurrent callers with random sizes.
func TestTheMemoryIsNeverExceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total = 4 * mebibyte
		m := newMemory(4)
		var held, most atomic.Int64
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(1, uint64(i)))
				for range 50 {
					n := 1 + rng.Int64N(m.share)
					r, err := m.Reserve(t.Context(), string(rune('a'+i%7)), n, false)
					if err != nil {
						continue
					}
					most.Store(max(most.Load(), held.Add(n)))
					time.Sleep(time.Duration(rng.Int64N(int64(100 * time.Millisecond))))
					held.Add(-n)
					r.Release()
				}
			})
		}
		wg.Wait()
		require.LessOrEqual(t, most.Load(), int64(total))
		require.Greater(t, most.Load(), int64(total/2), "too little memory was held for a meaningful test")
		require.Empty(t, m.callers)
	})
}

func BenchmarkReserve(b *testing.B) {
	m := newMemory(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := m.Reserve(b.Context(), "caller", 1024, false)
			if err == nil {
				r.Release()
			}
		}
	})
}
