package userclient

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/example/microservices/pkg/resilience"
)

func TestSimultaneousMissesMakeOneRequest(t *testing.T) {
	u := &upstream{answer: found200}
	c := newClient(t, u.config())
	// Without a clock or a gate, callers come before, during and after the call, in random
	// order.
	for round := range 50 {
		id := uuid.New()
		start := make(chan struct{})
		wait := together(100, func() error {
			<-start
			return c.Verify(t.Context(), id)
		})
		close(start)
		for _, err := range wait() {
			require.NoError(t, err)
		}
		require.EqualValues(t, round+1, u.requests.Load())
	}
}

// TestASharedRequestIsTraced: a caller that shares another one's request records that in
// its own trace.
func TestASharedRequestIsTraced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: after(time.Millisecond, found200)}
		c := newClient(t, u.config())
		id := uuid.New()
		recorder := tracetest.NewSpanRecorder()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("")
		for _, err := range together(10, func() error {
			ctx, span := tracer.Start(t.Context(), "order")
			defer span.End()
			return c.Verify(ctx, id)
		})() {
			require.NoError(t, err)
		}
		shared := 0
		for _, span := range recorder.Ended() {
			for _, event := range span.Events() {
				require.Equal(t, "another request asked user-service", event.Name)
				shared++
			}
		}
		require.Equal(t, 9, shared)
		require.EqualValues(t, 1, u.requests.Load())
	})
}

func TestSimultaneousMissesShareAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: after(time.Millisecond, broken500)}
		cfg := u.config()
		cfg.MaxTries = 1
		c := newClient(t, cfg)
		id := uuid.New()
		wait := together(100, func() error { return c.Verify(t.Context(), id) })
		for _, err := range wait() {
			requireUnavailable(t, err)
		}
		require.EqualValues(t, 1, u.requests.Load())
		require.Equal(t, 100.0, testutil.ToFloat64(c.metrics.requests[serverError]))
	})
}

func TestAnExistingUserIsCachedBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: found200}
		c := newClient(t, u.config())
		id := uuid.New()
		for range 5 {
			require.NoError(t, c.Verify(t.Context(), id))
			pass(time.Second - time.Millisecond)
		}
		require.EqualValues(t, 1, u.requests.Load())
		require.Equal(t, 4.0, testutil.ToFloat64(c.metrics.cacheHits))
		pass(10 * time.Millisecond)
		require.NoError(t, c.Verify(t.Context(), id))
		require.EqualValues(t, 2, u.requests.Load(), "a read does not extend the cache's lifetime")
		require.Equal(t, 2.0, testutil.ToFloat64(c.metrics.cacheMisses))
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	u := &upstream{answer: found200}
	cfg := u.config()
	cfg.CacheSize = 3
	c := newClient(t, cfg)
	for range 100 {
		require.NoError(t, verifyNew(t.Context(), c))
	}
	require.Equal(t, 3, c.cache.Len())
}

func TestTheCacheCanBeTurnedOff(t *testing.T) {
	u := &upstream{answer: found200}
	cfg := u.config()
	cfg.CacheTTL = 0
	c := newClient(t, cfg)
	id := uuid.New()
	for range 3 {
		require.NoError(t, c.Verify(t.Context(), id))
	}
	require.EqualValues(t, 3, u.requests.Load())
}

func TestTheCacheAnswersWhileUserServiceIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: found200}
		c := newClient(t, u.config())
		id := uuid.New()
		require.NoError(t, c.Verify(t.Context(), id))
		u.answer = broken500
		requireUnavailable(t, verifyNew(t.Context(), c))
		require.NoError(t, c.Verify(t.Context(), id))
	})
}

func TestACanceledCallerDoesNotAffectOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: after(500*time.Millisecond, found200)}
		c := newClient(t, u.config())
		id := uuid.New()
		first, cancel := context.WithCancel(t.Context())
		waitFirst := together(1, func() error { return c.Verify(first, id) })
		synctest.Wait()
		waitOthers := together(10, func() error { return c.Verify(t.Context(), id) })
		synctest.Wait()
		cancel()
		require.ErrorIs(t, waitFirst()[0], context.Canceled)
		for _, err := range waitOthers() {
			require.NoError(t, err)
		}
		require.EqualValues(t, 1, u.requests.Load())
		require.Equal(t, 1.0, testutil.ToFloat64(c.metrics.requests[canceled]))
		require.Equal(t, 10.0, testutil.ToFloat64(c.metrics.requests[found]))
	})
}

func TestAnAbandonedRequestIsCanceledAndCountsAsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		u := &upstream{answer: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			ended <- context.Cause(r.Context())
			return nil, r.Context().Err()
		}}
		cfg := u.config()
		cfg.BreakerMinimum = 1
		c := newClient(t, cfg)
		for _, give := range []struct {
			up  func() (context.Context, context.CancelFunc)
			err error
		}{
			{func() (context.Context, context.CancelFunc) {
				return context.WithTimeout(t.Context(), 100*time.Millisecond)
			}, context.DeadlineExceeded},
			{func() (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(100*time.Millisecond, cancel)
				return ctx, cancel
			}, context.Canceled},
		} {
			ctx, cancel := give.up()
			start := time.Now()
			err := verifyNew(ctx, c)
			cancel()
			require.ErrorIs(t, err, give.err)
			require.Equal(t, 100*time.Millisecond, time.Since(start))
			require.ErrorIs(t, <-ended, resilience.ErrAbandoned)
			synctest.Wait()
			require.Equal(t, resilience.Closed, c.breaker.State())
		}
		require.Equal(t, 2.0, testutil.ToFloat64(c.metrics.requests[canceled]))
		require.EqualValues(t, 2, u.requests.Load(), "nothing is retried")
	})
}

func TestNoRetryForCallersWhoGaveUpInTheMeantime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: withRetryAfter(http.StatusServiceUnavailable, "1")}
		c := newClient(t, u.config())
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, verifyNew(ctx, c), context.DeadlineExceeded)
		pass(2 * time.Second)
		require.EqualValues(t, 1, u.requests.Load())
	})
}

func TestACanceledCallerMakesNoRequest(t *testing.T) {
	u := &upstream{answer: found200}
	c := newClient(t, u.config())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, verifyNew(ctx, c), context.Canceled)
	require.Zero(t, u.requests.Load())
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: hung}
		cfg := u.config()
		cfg.BreakerMinimum = 1
		c := newClient(t, cfg)
		wait := together(1, func() error { return verifyNew(t.Context(), c) })
		synctest.Wait()
		start := time.Now()
		c.Close()
		requireUnavailable(t, wait()[0])
		require.Zero(t, time.Since(start))
		requireUnavailable(t, verifyNew(t.Context(), c))
		require.EqualValues(t, 1, u.requests.Load())
		require.Equal(t, 2.0, testutil.ToFloat64(c.metrics.requests[closed]))
		require.Equal(t, resilience.Closed, c.breaker.State())
		c.Close()
	})
}
