package ratelimit

import (
	"context"
	"time"

	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
)

// Local counts in this process's memory.
type Local struct {
	limiter *throttled.GCRARateLimiterCtx
}

// NewLocal returns a limiter that remembers so many callers; of more, it forgets
// whom it has not seen for longest. The limit must not be off.
func NewLocal(limit Limit, callers int) (*Local, error) {
	store, err := memstore.NewCtx(callers)
	if err != nil {
		return nil, err
	}
	limiter, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{
		MaxRate: throttled.PerDuration(limit.Requests, limit.Period),
		// What may come beside the one that is always allowed.
		MaxBurst: limit.Burst - 1,
	})
	if err != nil {
		return nil, err
	}
	// In memory a lost race is over in microseconds, and giving up would let
	// nobody through.
	limiter.SetMaxCASAttemptsLimit(1 << 20)
	return &Local{limiter}, nil
}

// Allow decides about one request of a caller.
func (l *Local) Allow(ctx context.Context, caller string) Decision {
	limited, result, err := l.limiter.RateLimitCtx(ctx, caller, 1)
	if err != nil {
		// The store is memory, which doesn't fail.
		return Decision{RetryAfter: time.Second}
	}
	return Decision{Allowed: !limited, Remaining: result.Remaining, Reset: result.ResetAfter, RetryAfter: max(0, result.RetryAfter)}
}

// remaining is how many more requests of a caller would be allowed.
func (l *Local) remaining(caller string) int {
	_, result, _ := l.limiter.RateLimitCtx(context.Background(), caller, 0)
	return result.Remaining
}
