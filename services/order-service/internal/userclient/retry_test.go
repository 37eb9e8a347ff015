package userclient

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/example/microservices/pkg/resilience"
	"github.com/example/microservices/services/order-service/internal/order"
)

func withRetryAfter(status int, value string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		r := respond(status, "")
		r.Header.Set("Retry-After", value)
		return r, nil
	}
}

func unreachable(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}

// The number of attempts for each response, with the defaults, and the longest wait of a
// caller.
func TestTries(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		tries  int64
		within time.Duration
	}{
		{"found", found200, 1, 0},
		{"unknown", unknown404, 1, 0},
		{"no connection", unreachable, 3, 150 * time.Millisecond},
		{"server error", broken500, 3, 150 * time.Millisecond},
		{"hung: no time for a third try", hung, 2, 1650 * time.Millisecond},
		{"slow failure", after(700*time.Millisecond, broken500), 2, 1450 * time.Millisecond},
		{"garbage", func(*http.Request) (*http.Response, error) { return respond(200, "garbage"), nil }, 1, 0},
		{"redirect", func(*http.Request) (*http.Response, error) { return respond(302, ""), nil }, 1, 0},
		{"denied", func(*http.Request) (*http.Response, error) { return respond(401, ""), nil }, 1, 0},
		{"rejected", func(*http.Request) (*http.Response, error) { return respond(400, ""), nil }, 1, 0},
		{"429 without Retry-After", func(*http.Request) (*http.Response, error) { return respond(429, ""), nil }, 1, 0},
		{"429 with a short Retry-After", withRetryAfter(429, "1"), 2, time.Second},
		{"429 with a long Retry-After", withRetryAfter(429, "2"), 1, 0},
		{"503 with a short Retry-After", withRetryAfter(503, "1"), 2, time.Second},
		{"503 with a long Retry-After", withRetryAfter(503, "60"), 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{answer: test.answer}
				c := newClient(t, u.config())
				start := time.Now()
				_ = verifyNew(t.Context(), c)
				require.Equal(t, test.tries, u.requests.Load())
				require.LessOrEqual(t, time.Since(start), test.within)
				require.Equal(t, float64(test.tries-1), testutil.ToFloat64(c.metrics.retries))
			})
		})
	}
}

func TestARetryCanSucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		u.answer = func(r *http.Request) (*http.Response, error) {
			if u.requests.Load() < 3 {
				return nil, errors.New("connection reset")
			}
			return found200(r)
		}
		c := newClient(t, u.config())
		require.NoError(t, verifyNew(t.Context(), c))
		require.EqualValues(t, 3, u.requests.Load())
	})
}

func TestRetryAfterIsNotPreempted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		u := &upstream{answer: func(r *http.Request) (*http.Response, error) {
			times = append(times, time.Now())
			return withRetryAfter(http.StatusTooManyRequests, "1")(r)
		}}
		requireUnavailable(t, verifyNew(t.Context(), newClient(t, u.config())))
		require.Len(t, times, 2)
		require.GreaterOrEqual(t, times[1].Sub(times[0]), time.Second)
	})
}

// No call takes longer than the total deadline, whatever the responses; every attempt gets
// its full timeout, and none starts after the deadline.
func TestTheTotalDeadlineHolds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ms := func(label string, low, high int) time.Duration {
			return time.Duration(rapid.IntRange(low, high).Draw(rt, label)) * time.Millisecond
		}
		cfg := NewConfig()
		cfg.Timeout, cfg.MaxTries = ms("total", 100, 5000), rapid.IntRange(1, 10).Draw(rt, "tries")
		cfg.TryTimeout = ms("a try", 1, int(cfg.Timeout/time.Millisecond))
		delays := rapid.SliceOfN(rapid.IntRange(0, 3000), 10, 10).Draw(rt, "delays")
		kinds := rapid.SliceOfN(rapid.IntRange(0, 4), 10, 10).Draw(rt, "kinds")
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			u := &upstream{}
			u.answer = func(r *http.Request) (*http.Response, error) {
				n := int(u.requests.Load()) - 1
				deadline, ok := r.Context().Deadline()
				if !ok || time.Until(deadline) != cfg.TryTimeout {
					rt.Errorf("try %d gets %v", n, time.Until(deadline))
				}
				answer := []func(*http.Request) (*http.Response, error){
					broken500, unreachable, hung, withRetryAfter(503, "1"), withRetryAfter(429, "0"),
				}[kinds[n]]
				return after(time.Duration(delays[n])*time.Millisecond, answer)(r)
			}
			cfg := cfg
			cfg.URL, cfg.WrapTransport = u.config().URL, u.config().WrapTransport
			c := newClient(t, cfg)
			defer c.Close()
			err := verifyNew(t.Context(), c)
			var unavailable *order.UsersUnavailableError
			if !errors.As(err, &unavailable) {
				rt.Errorf("got %v", err)
			}
			if time.Since(start) > cfg.Timeout {
				rt.Errorf("took %v", time.Since(start))
			}
			if got := u.requests.Load(); got > int64(cfg.MaxTries) {
				rt.Errorf("%d tries", got)
			}
		})
	})
}

func TestTheRetryBudgetBoundsAmplification(t *testing.T) {
	for _, ratio := range []float64{0.1, 0.2, 1} {
		t.Run(fmt.Sprint(ratio), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{answer: broken500}
				cfg := u.config()
				cfg.MaxTries, cfg.RetryRatio, cfg.RetryReserve = 10, ratio, 5
				cfg.Timeout = time.Minute
				const calls = 500
				cfg.BreakerMinimum, cfg.MaxConcurrent = math.MaxInt32, calls // never limit
				c := newClient(t, cfg)
				wait := together(calls, func() error { return verifyNew(t.Context(), c) })
				for _, err := range wait() {
					requireUnavailable(t, err)
				}
				retries := testutil.ToFloat64(c.metrics.retries)
				require.LessOrEqual(t, retries, calls*ratio+5)
				require.Positive(t, retries)
				require.Positive(t, testutil.ToFloat64(c.metrics.retriesDenied))
			})
		})
	}
}

func TestRejectedCallsEarnNoRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: broken500}
		cfg := u.config()
		cfg.RetryRatio, cfg.RetryReserve, cfg.BreakerMinimum = 1, 2, 3
		c := newClient(t, cfg)
		requireUnavailable(t, verifyNew(t.Context(), c)) // spends both retries
		require.Equal(t, resilience.Open, c.breaker.State())
		for range 100 {
			requireUnavailable(t, verifyNew(t.Context(), c))
		}
		require.False(t, c.budget.Withdraw())
	})
}

func TestTheConcurrencyLimitRejectsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: after(500*time.Millisecond, found200)}
		cfg := u.config()
		cfg.MaxConcurrent, cfg.BreakerMinimum = 3, 1
		c := newClient(t, cfg)
		wait := together(3, func() error { return verifyNew(t.Context(), c) })
		synctest.Wait()
		require.Equal(t, 3.0, testutil.ToFloat64(c.metrics.inFlight))
		start := time.Now()
		for range 10 {
			err := verifyNew(t.Context(), c)
			require.ErrorIs(t, err, errLimited)
			require.Equal(t, time.Second, retryAfter(t, err))
		}
		require.Zero(t, time.Since(start), "there is no queue")
		require.Equal(t, resilience.Closed, c.breaker.State())
		for _, err := range wait() {
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, u.requests.Load(), "the second and the third shared one")
		require.NoError(t, verifyNew(t.Context(), c), "the slots are free again")
		require.Zero(t, testutil.ToFloat64(c.metrics.inFlight))
		require.Equal(t, 10.0, testutil.ToFloat64(c.metrics.requests[limited]))
	})
}

func TestRetryAfterOfTheCaller(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		want   time.Duration
	}{
		{"one failure", broken500, time.Second},
		{"429 without Retry-After", func(*http.Request) (*http.Response, error) { return respond(429, ""), nil }, time.Second},
		{"429 with Retry-After", withRetryAfter(429, "42"), 42 * time.Second},
		{"429 with a date", func(r *http.Request) (*http.Response, error) {
			return withRetryAfter(429, time.Now().Add(7500*time.Millisecond).UTC().Format(http.TimeFormat))(r)
		}, 7 * time.Second},
		{"503 with Retry-After", withRetryAfter(503, "42"), 42 * time.Second},
		{"500 with Retry-After, which is ignored", withRetryAfter(500, "42"), time.Second},
		{"a misconfiguration", func(*http.Request) (*http.Response, error) { return respond(403, ""), nil }, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{answer: test.answer}
				cfg := u.config()
				cfg.MaxTries = 1
				require.Equal(t, test.want, retryAfter(t, verifyNew(t.Context(), newClient(t, cfg))))
			})
		})
	}
}

func TestWholeSeconds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(maxRetryAfter)).Draw(t, "wait"))
		got := wholeSeconds(d)
		if got < max(d, time.Second) || got%time.Second != 0 || got >= max(d, 1)+time.Second {
			t.Fatalf("%v became %v", d, got)
		}
	})
}

func TestAPanicInTheTransportReachesTheCaller(t *testing.T) {
	u := &upstream{answer: func(*http.Request) (*http.Response, error) { panic(strings.Repeat("o", 3)) }}
	c := newClient(t, u.config())
	require.Panics(t, func() { _ = c.Verify(t.Context(), uuid.New()) })
	require.Empty(t, c.slots, "the slot is free again")
}
