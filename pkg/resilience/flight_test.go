package resilience

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFlightSharesOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flight[string, int]
		var calls atomic.Int32
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				v, err := f.Do(t.Context(), "key", func(context.Context) (int, error) {
					pass(time.Second)
					return int(calls.Add(1)), nil
				})
				require.NoError(t, err)
				require.Equal(t, 1, v)
			})
		}
		wg.Wait()
		v, err := f.Do(t.Context(), "key", func(context.Context) (int, error) { return 2, nil })
		require.NoError(t, err)
		require.Equal(t, 2, v, "an ended call is not remembered")
	})
}

func TestFlightKeepsKeysApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flight[int, int]
		var wg sync.WaitGroup
		for key := range 10 {
			wg.Go(func() {
				v, err := f.Do(t.Context(), key, func(context.Context) (int, error) {
					pass(time.Second)
					return key, nil
				})
				require.NoError(t, err)
				require.Equal(t, key, v)
			})
		}
		wg.Wait()
	})
}

func TestFlightOutlivesItsFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flight[string, int]
		call := func(ctx context.Context) (int, error) {
			select {
			case <-time.After(time.Second):
				return 1, nil
			case <-ctx.Done():
				return 0, context.Cause(ctx)
			}
		}
		first, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := f.Do(first, "key", call)
			require.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		wg.Go(func() {
			v, err := f.Do(t.Context(), "key", call)
			require.NoError(t, err)
			require.Equal(t, 1, v)
		})
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestFlightEndsACallThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flight[string, int]
		cause := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := f.Do(ctx, "key", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			pass(time.Hour) // slow to return
			return 1, nil
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, <-cause, ErrAbandoned)

		v, err := f.Do(t.Context(), "key", func(context.Context) (int, error) {
			pass(2 * time.Hour)
			return 2, nil
		})
		require.NoError(t, err)
		require.Equal(t, 2, v, "no caller joins an ending call, and its end doesn't affect the next call")
	})
}

func TestFlightCarriesValues(t *testing.T) {
	type key struct{}
	var f Flight[string, any]
	v, err := f.Do(context.WithValue(t.Context(), key{}, "value"), "key", func(ctx context.Context) (any, error) {
		return ctx.Value(key{}), nil
	})
	require.NoError(t, err)
	require.Equal(t, "value", v)
}

func TestFlightMakesNoCallForACanceledCaller(t *testing.T) {
	var f Flight[string, int]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Do(ctx, "key", func(context.Context) (int, error) {
		t.Error("called")
		return 0, nil
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestFlightHandsPanicsToTheCallers(t *testing.T) {
	var f Flight[string, int]
	defer func() {
		err, ok := recover().(error)
		require.True(t, ok)
		require.ErrorContains(t, err, "panic in a shared call: oh")
		require.ErrorContains(t, err, "flight_test.go", "the stack is that of the call")
	}()
	_, _ = f.Do(t.Context(), "key", func(context.Context) (int, error) { panic("oh") })
}

func TestFlightFailsWhenTheCallExits(t *testing.T) {
	var f Flight[string, int]
	_, err := f.Do(t.Context(), "key", func(context.Context) (int, error) {
		runtime.Goexit()
		return 1, nil
	})
	require.ErrorIs(t, err, errNoReturn)
}

func TestFlightClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f Flight[string, int]
		result := make(chan error, 1)
		go func() {
			_, err := f.Do(t.Context(), "key", func(ctx context.Context) (int, error) {
				<-ctx.Done()
				pass(time.Second)
				return 0, context.Cause(ctx)
			})
			result <- err
		}()
		synctest.Wait()
		start := time.Now()
		f.Close()
		require.Equal(t, time.Second, time.Since(start), "Close waits for the call")
		require.ErrorIs(t, <-result, ErrClosed)
		_, err := f.Do(t.Context(), "key", func(context.Context) (int, error) { return 1, nil })
		require.ErrorIs(t, err, ErrClosed)
	})
}

func TestFlightUnderChurn(t *testing.T) {
	var f Flight[int, int]
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+n)%3 == 0 {
					go cancel()
				}
				v, err := f.Do(ctx, n%4, func(context.Context) (int, error) {
					runtime.Gosched()
					return n % 4, nil
				})
				if err == nil && v != n%4 {
					t.Errorf("key %d: got %d", n%4, v)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	f.Close()
	require.Empty(t, f.calls)
}
