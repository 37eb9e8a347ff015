package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/example/microservices/pkg/resilience"
)

const (
	// askTimeout is how long the shared count may take. It's asked for every
	// request, so it must not cost more than the request itself.
	askTimeout = 100 * time.Millisecond
	// awayFor is how long nobody asks for it once it is away.
	awayFor = 2 * time.Second
	// probe is the caller that a check counts. None is called that.
	probe = ""
)

// probeLimit is never reached: what is limited isn't counted.
var probeLimit = redis_rate.PerSecond(1000)

// Shared counts in Valkey or Redis, for all replicas together. While that is away
// each replica lets its own share through: the limit holds, about, and nobody is
// shut out.
type Shared struct {
	name    string
	limit   redis_rate.Limit
	limiter *redis_rate.Limiter
	breaker *resilience.Breaker
	local   *Local
	away    *atomic.Bool
}

// NewShared returns a limiter by a name that is the same in all replicas, of
// which there are so many. onChange, if given, is told when the shared count
// goes away (true) and comes back. While away, if given, says so, nobody asks it.
func NewShared(name string, limit Limit, client redis.UniversalClient, replicas, callers int, onChange func(away bool), away *atomic.Bool) (*Shared, error) {
	if away == nil {
		away = &atomic.Bool{}
	}
	local, err := NewLocal(limit.share(max(1, replicas)), callers)
	if err != nil {
		return nil, err
	}
	return &Shared{
		name:    name,
		limit:   redis_rate.Limit{Rate: limit.Requests, Period: limit.Period, Burst: limit.Burst},
		limiter: redis_rate.NewLimiter(client),
		local:   local,
		away:    away,
		breaker: resilience.NewBreaker(resilience.BreakerConfig{
			Window: time.Second, OpenFor: awayFor, Minimum: 3, Ratio: 0.5,
			IsFailure:  func(error) bool { return true },
			IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
			OnChange: func(from, to resilience.State) {
				if onChange != nil && to != resilience.HalfOpen && (from == resilience.Closed || to == resilience.Closed) {
					onChange(to == resilience.Open)
				}
			},
		}),
	}, nil
}

// Check returns an error unless Redis counts, and in time. That it answers is not
// enough: one that may not write does that, too. It has two tries.
func (s *Shared) Check(ctx context.Context) error {
	_, err := s.try(ctx, probe, probeLimit)
	if err != nil {
		_, err = s.try(ctx, probe, probeLimit)
	}
	return err
}

// Allow decides about one request of a caller.
func (s *Shared) Allow(ctx context.Context, caller string) Decision {
	if s.away.Load() {
		return s.local.Allow(ctx, caller)
	}
	var result *redis_rate.Result
	err := s.breaker.Do(func() error {
		var err error
		result, err = s.try(ctx, caller, s.limit)
		return err
	})
	if err != nil {
		return s.local.Allow(ctx, caller)
	}
	return Decision{Allowed: result.Allowed > 0, Remaining: result.Remaining, Reset: result.ResetAfter, RetryAfter: max(0, result.RetryAfter)}
}

// try asks Redis once, for a short while. An answer that can't be one is an error:
// the library takes it for what it expects, and panics.
func (s *Shared) try(ctx context.Context, caller string, limit redis_rate.Limit) (result *redis_rate.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the answer of Redis can't be read: %v", cause)
		}
	}()
	result, err = s.limiter.Allow(ctx, s.name+":"+caller, limit)
	if err == nil && (result.Remaining < 0 || result.Remaining > limit.Burst) {
		err = fmt.Errorf("that %d of %d requests are left can't be", result.Remaining, limit.Burst)
	}
	return result, err
}
