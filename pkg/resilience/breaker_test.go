package resilience

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	errBad  = errors.New("bad")
	errGone = errors.New("the caller is gone")
	errFine = errors.New("an answer, if not a nice one")
)

func good() error { return nil }
func bad() error  { return errBad }
func gone() error { return errGone }
func fine() error { return errFine }

// mustNotBeNil reports whether err is target. The breaker must never pass nil.
func mustNotBeNil(err, target error) bool {
	if err == nil {
		panic("called with nil")
	}
	return errors.Is(err, target)
}

// breakerUnderTest trips on half of at least 4 outcomes within 10s, and stays open for
// 5s.
func breakerUnderTest(onChange func(from, to State)) *Breaker {
	return NewBreaker(BreakerConfig{
		Window:     10 * time.Second,
		OpenFor:    5 * time.Second,
		Minimum:    4,
		Ratio:      0.5,
		IsFailure:  func(err error) bool { return mustNotBeNil(err, errBad) },
		IsExcluded: func(err error) bool { return mustNotBeNil(err, errGone) },
		OnChange:   onChange,
	})
}

func TestBreakerTrips(t *testing.T) {
	type calls = []func() error
	for _, test := range []struct {
		name  string
		calls calls
		want  State
	}{
		{"stays closed below the minimum", calls{bad, bad, bad}, Closed},
		{"opens at the minimum", calls{bad, bad, bad, bad}, Open},
		{"opens at the ratio", calls{good, good, bad, bad}, Open},
		{"stays closed below the ratio", calls{good, good, good, bad, bad}, Closed},
		{"ignores errors that are no failure", calls{fine, fine, fine, fine}, Closed},
		{"doesn't count excluded calls towards the minimum", calls{gone, bad, gone, bad, gone, bad}, Closed},
		{"doesn't count excluded calls towards the ratio", calls{gone, gone, gone, gone, good, good, bad, bad}, Open},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := breakerUnderTest(nil)
			for _, call := range test.calls {
				err := b.Do(call)
				require.NotErrorIs(t, err, ErrOpen)
			}
			require.Equal(t, test.want, b.State())
		})
	}
}

func TestBreakerForgetsWhatLeftTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breakerUnderTest(nil)
		for range 3 {
			require.ErrorIs(t, b.Do(bad), errBad)
		}
		pass(11 * time.Second)
		require.ErrorIs(t, b.Do(bad), errBad)
		require.Equal(t, Closed, b.State())
	})
}

func TestBreakerWindowRolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breakerUnderTest(nil)
		require.NoError(t, b.Do(good))
		pass(9 * time.Second)
		require.ErrorIs(t, b.Do(bad), errBad)
		pass(8500 * time.Millisecond) // the good one has left the window, this one hasn't
		for range 3 {
			require.ErrorIs(t, b.Do(bad), errBad)
		}
		require.Equal(t, Open, b.State(), "a window that restarts would have only 3 failures")
	})
}

func TestBreakerIgnoresCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breakerUnderTest(nil)
		release := make(chan struct{})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { _ = b.Do(func() error { <-release; return nil }) })
		}
		synctest.Wait()
		for range 4 {
			require.ErrorIs(t, b.Do(bad), errBad)
		}
		require.Equal(t, Open, b.State())
		close(release)
		wg.Wait()
		require.Equal(t, Open, b.State(), "late successes don't close the breaker")
	})
}

func TestBreakerRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		b := breakerUnderTest(func(from, to State) {
			changes = append(changes, from.String()+" to "+to.String())
		})
		trip(t, b)
		require.Equal(t, 5*time.Second, b.OpenLeft())
		pass(2 * time.Second)
		require.Equal(t, 3*time.Second, b.OpenLeft())
		require.ErrorIs(t, b.Do(good), ErrOpen)

		pass(3*time.Second + 1)
		require.Equal(t, HalfOpen, b.State())
		require.Zero(t, b.OpenLeft())
		require.ErrorIs(t, b.Do(bad), errBad, "the probe is sent")
		require.Equal(t, Open, b.State())

		pass(5*time.Second + 1)
		require.ErrorIs(t, b.Do(gone), errGone)
		require.Equal(t, HalfOpen, b.State(), "an excluded probe decides nothing")
		require.NoError(t, b.Do(good))
		require.Equal(t, Closed, b.State())
		require.Equal(t, []string{
			"closed to open", "open to half-open", "half-open to open",
			"open to half-open", "half-open to closed",
		}, changes)
	})
}

func TestBreakerLetsOneProbeThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breakerUnderTest(nil)
		trip(t, b)
		pass(5*time.Second + 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		probe := make(chan error)
		go func() {
			probe <- b.Do(func() error { <-ctx.Done(); return errBad })
		}()
		synctest.Wait()
		require.ErrorIs(t, b.Do(good), ErrOpen)
		require.ErrorIs(t, <-probe, errBad)
		require.Equal(t, Open, b.State())
	})
}

func TestBreakerCountsPanics(t *testing.T) {
	b := breakerUnderTest(nil)
	for range 3 {
		_ = b.Do(bad)
	}
	require.Panics(t, func() { _ = b.Do(func() error { panic("oh") }) })
	// By the tests' rules the panic is neither a failure nor excluded. It must still have
	// ended the call: the next failure trips the breaker.
	_ = b.Do(bad)
	require.Equal(t, Open, b.State())
}

func TestOnChangeMayUseTheBreaker(t *testing.T) {
	var b *Breaker
	var seen []State
	b = breakerUnderTest(func(_, _ State) { seen = append(seen, b.State()) })
	trip(t, b)
	require.Equal(t, []State{Open}, seen)
}

func TestChangesArriveInOrder(t *testing.T) {
	var changes [][2]State
	b := NewBreaker(BreakerConfig{
		Window: time.Hour, OpenFor: time.Nanosecond, Minimum: 1, Ratio: 1,
		IsFailure:  func(error) bool { return true },
		IsExcluded: func(error) bool { return false },
		OnChange:   func(from, to State) { changes = append(changes, [2]State{from, to}) },
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				_ = b.Do(bad)
				_ = b.Do(good)
			}
		})
	}
	wg.Wait()
	require.NotEmpty(t, changes)
	last := Closed
	for _, c := range changes {
		require.Equal(t, last, c[0])
		last = c[1]
	}
}

func trip(t *testing.T, b *Breaker) {
	t.Helper()
	for range 4 {
		require.ErrorIs(t, b.Do(bad), errBad)
	}
	require.Equal(t, Open, b.State())
}
