package ratelimit

import (
	"context"
	"time"

	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
)

// Local counts in the memory of this process.
type Local struct {
	limiter *throttled.GCRARateLimiterCtx
}

// NewLocal returns a limiter that remembers up to the given number of callers, and
// forgets the least recently seen first. The limit must not be off.
func NewLocal(limit Limit, callers int) (*Local, error) {
	store, err := memstore.NewCtx(callers)
	if err != nil {
		return nil, err
	}
	limiter, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{
		MaxRate: throttled.PerDuration(limit.Requests, limit.Period),
		// in addition to the request that is always allowed
		MaxBurst: limit.Burst - 1,
	})
	if err != nil {
		return nil, err
	}
	// In memory a lost race costs microseconds. Giving up would reject the request.
	limiter.SetMaxCASAttemptsLimit(1 << 20)
	return &Local{limiter}, nil
}

// Allow counts and decides one request of a caller.
func (l *Local) Allow(ctx context.Context, caller string) Decision {
	limited, result, err := l.limiter.RateLimitCtx(ctx, caller, 1)
	if err != nil {
		// can't happen with a store in memory
		return Decision{RetryAfter: time.Second}
	}
	return Decision{Allowed: !limited, Remaining: result.Remaining, Reset: result.ResetAfter, RetryAfter: max(0, result.RetryAfter)}
}

// remaining returns how many more requests of a caller would be allowed. It counts none.
func (l *Local) remaining(caller string) int {
	_, result, _ := l.limiter.RateLimitCtx(context.Background(), caller, 0)
	return result.Remaining
}
