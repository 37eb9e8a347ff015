package overload

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// line returns a queue with a settable length.
func line() (*queue, *float64) {
	length := 0.0
	q := newQueue()
	q.waiting = func() float64 { return length }
	return q, &length
}

// ask calls Full every millisecond for a while, and returns how often it was true.
func ask(q *queue, span time.Duration) (refused int) {
	for range span / time.Millisecond {
		time.Sleep(time.Millisecond)
		if q.Full(false) {
			refused++
		}
	}
	return refused
}

func TestALastingQueueIsAnOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, length := line()
		*length = bound() + 1
		require.Zero(t, ask(q, patienceTime), "a short queue may be a burst")
		require.Equal(t, 50, ask(q, 50*time.Millisecond))
		*length--
		require.Zero(t, ask(q, patienceTime/2), "the queue is short")
		*length++
		require.Equal(t, 50, ask(q, 50*time.Millisecond), "the queue is still too long")
		*length--
		require.Zero(t, ask(q, 2*patienceTime))
		*length++
		require.Zero(t, ask(q, patienceTime), "after a short queue, this may be a burst")
		require.Equal(t, 1, ask(q, time.Millisecond))
	})
}

func TestBurstsAreNoOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, length := line()
		for range 100 {
			*length = 10 * bound()
			require.Zero(t, ask(q, patienceTime-time.Millisecond))
			*length = 0
			require.Zero(t, ask(q, time.Millisecond))
		}
		*length = 10 * bound()
		for range 100 {
			require.Zero(t, ask(q, time.Millisecond))
			time.Sleep(patienceTime) // no requests
		}
	})
}

// TestWaitingGoroutinesAreMeasured tests the real metric with goroutines that really wait
// for a CPU.
func TestWaitingGoroutinesAreMeasured(t *testing.T) {
	var done atomic.Bool
	defer done.Store(true)
	many := int(2 * bound())
	for range many {
		go func() {
			for !done.Load() {
				runtime.Gosched()
			}
		}()
	}
	require.Eventually(t, func() bool { return runnable() > bound() }, 10*time.Second, time.Millisecond)
	gates := New(Limits{1000, 1000}, prometheus.NewRegistry())
	require.Eventually(t, func() bool {
		slot, ok := gates.Enter(t.Context(), true, false)
		slot.Done()
		return !ok
	}, 10*time.Second, time.Millisecond, "a lasting queue causes rejections")
	slot, ok := gates.Enter(t.Context(), false, false)
	slot.Done()
	require.False(t, ok, "writes, too")
}
