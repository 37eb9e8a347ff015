package userclient

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/resilience"
	"github.com/example/microservices/services/order-service/internal/order"
)

func TestTheBreakerOpensOnARatio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		u := &upstream{answer: func(r *http.Request) (*http.Response, error) {
			n++
			if n%3 == 0 {
				return broken500(r)
			}
			return found200(r)
		}}
		cfg := u.config()
		cfg.MaxTries = 1
		c := newClient(t, cfg)
		for range 100 {
			_ = verifyNew(t.Context(), c)
		}
		require.Equal(t, resilience.Closed, c.breaker.State(), "a third fails, below the ratio")
		require.EqualValues(t, 100, u.requests.Load())

		u.answer = broken500
		for c.breaker.State() == resilience.Closed {
			requireUnavailable(t, verifyNew(t.Context(), c))
			require.LessOrEqual(t, u.requests.Load(), int64(140))
		}
		require.Equal(t, resilience.Open, c.breaker.State())
	})
}

func TestAnOpenBreakerRejectsAtOnceWithRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: broken500}
		c := newClient(t, u.config())
		openBreaker(t, c)
		before := u.requests.Load()
		for left := 10 * time.Second; left > 0; left -= 1250 * time.Millisecond {
			start := time.Now()
			err := verifyNew(t.Context(), c)
			require.ErrorIs(t, err, resilience.ErrOpen)
			require.Equal(t, wholeSeconds(left), retryAfter(t, err))
			require.Zero(t, time.Since(start))
			pass(1250 * time.Millisecond)
		}
		require.Equal(t, before, u.requests.Load(), "an open breaker sends nothing")
	})
}

func TestNoRetryIntoABreakerThatHasJustOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: broken500}
		cfg := u.config()
		cfg.BreakerMinimum = 2
		c := newClient(t, cfg)
		start := time.Now()
		err := verifyNew(t.Context(), c)
		require.EqualValues(t, 2, u.requests.Load(), "the second failure opened the breaker")
		require.LessOrEqual(t, time.Since(start), 50*time.Millisecond, "the call doesn't wait for a third try")
		require.Equal(t, 10*time.Second, retryAfter(t, err))
		require.NotErrorIs(t, err, resilience.ErrOpen, "the error is user-service's failure")
	})
}

func TestTheBreakerClosesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: broken500}
		c := newClient(t, u.config())
		openBreaker(t, c)
		pass(10*time.Second + 1)

		before := u.requests.Load()
		requireUnavailable(t, verifyNew(t.Context(), c))
		require.Equal(t, before+1, u.requests.Load(), "one probe, no retry")
		require.Equal(t, resilience.Open, c.breaker.State())

		u.answer = found200
		require.ErrorIs(t, verifyNew(t.Context(), c), resilience.ErrOpen)
		pass(10*time.Second + 1)
		for range 20 {
			require.NoError(t, verifyNew(t.Context(), c))
		}
		require.Equal(t, resilience.Closed, c.breaker.State())
	})
}

func TestAnUnknownUserIsASuccessfulProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: broken500}
		c := newClient(t, u.config())
		openBreaker(t, c)
		pass(10*time.Second + 1)
		u.answer = unknown404
		require.ErrorIs(t, verifyNew(t.Context(), c), order.ErrUserUnknown)
		require.Equal(t, resilience.Closed, c.breaker.State())
	})
}

// A 429 is not a failure of user-service: the breaker stays closed, and the client gets the
// Retry-After.
func TestTooManyRequestsDontOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: withRetryAfter(http.StatusTooManyRequests, "7")}
		c := newClient(t, u.config())
		for n := range int64(100) {
			require.Equal(t, 7*time.Second, retryAfter(t, verifyNew(t.Context(), c)))
			require.Equal(t, n+1, u.requests.Load(), "user-service isn't asked again before Retry-After")
		}
		require.Equal(t, resilience.Closed, c.breaker.State())
		u.answer = found200
		require.NoError(t, verifyNew(t.Context(), c))

		u.answer = broken500
		openBreaker(t, c)
		pass(10*time.Second + 1)
		u.answer = withRetryAfter(http.StatusTooManyRequests, "7")
		require.Equal(t, 7*time.Second, retryAfter(t, verifyNew(t.Context(), c)))
		require.Equal(t, resilience.Closed, c.breaker.State(), "the breaker is closed")
	})
}

func TestAHungProbeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: broken500}
		c := newClient(t, u.config())
		openBreaker(t, c)
		u.answer = hung
		pass(10*time.Second + 1)

		start := time.Now()
		wait := together(1, func() error { return verifyNew(t.Context(), c) })
		synctest.Wait()
		require.Equal(t, resilience.HalfOpen, c.breaker.State())
		err := verifyNew(t.Context(), c)
		require.ErrorIs(t, err, resilience.ErrOpen, "one probe at a time")
		require.Equal(t, time.Second, retryAfter(t, err))
		requireUnavailable(t, wait()[0])
		require.Equal(t, 800*time.Millisecond, time.Since(start))
		require.Equal(t, resilience.Open, c.breaker.State())

		u.answer = found200
		pass(10*time.Second + 1)
		require.NoError(t, verifyNew(t.Context(), c))
	})
}

func TestACanceledProbeAllowsTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: broken500}
		c := newClient(t, u.config())
		openBreaker(t, c)
		u.answer = hung
		pass(10*time.Second + 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, verifyNew(ctx, c), context.DeadlineExceeded)
		synctest.Wait()
		require.Equal(t, resilience.HalfOpen, c.breaker.State())
		u.answer = found200
		require.NoError(t, verifyNew(t.Context(), c))
		require.Equal(t, resilience.Closed, c.breaker.State())
	})
}

func TestACallAboveTheLimitDoesNotUseUpTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: broken500}
		cfg := u.config()
		cfg.MaxConcurrent = 1
		c := newClient(t, cfg)
		openBreaker(t, c)
		pass(10*time.Second + 1)
		c.slots <- struct{}{}
		require.ErrorIs(t, verifyNew(t.Context(), c), errLimited)
		<-c.slots
		u.answer = found200
		require.NoError(t, verifyNew(t.Context(), c))
	})
}

// With a hung user-service each caller waits for at most the total deadline until the breaker
// opens, and then not at all.
func TestManyCallersAgainstAHungUserService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: hung}
		c := newClient(t, u.config())
		start := time.Now()
		wait := together(1000, func() error { return verifyNew(t.Context(), c) })
		for _, err := range wait() {
			requireUnavailable(t, err)
		}
		require.LessOrEqual(t, time.Since(start), 2*time.Second)
		require.LessOrEqual(t, u.requests.Load(), int64(64+10), "at most the concurrent calls and their retries are sent")
		require.Equal(t, resilience.Open, c.breaker.State())
	})
}

func openBreaker(t *testing.T, c *Client) {
	t.Helper()
	for range 100 {
		if c.breaker.State() == resilience.Open {
			return
		}
		err := verifyNew(t.Context(), c)
		require.False(t, err == nil || errors.Is(err, order.ErrUserUnknown))
	}
	t.Fatal("the breaker stays closed")
}
