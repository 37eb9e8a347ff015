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
	// askTimeout limits one call to Redis. Each request needs one, so it must not take
	// longer than the request itself.
	askTimeout = 100 * time.Millisecond
	// awayFor is how long Redis isn't asked after it failed.
	awayFor = 2 * time.Second
	// probe is the caller that checks count. No caller has this name.
	probe = ""
)

// probeLimit is high enough that checks never reach it: a limited request writes nothing.
var probeLimit = redis_rate.PerSecond(1000)

// Shared counts in Valkey or Redis, for all replicas together. While that is unavailable,
// each replica enforces its share: the limit holds approximately, and nobody is locked
// out.
type Shared struct {
	name    string
	limit   redis_rate.Limit
	limiter *redis_rate.Limiter
	breaker *resilience.Breaker
	local   *Local
	away    *atomic.Bool
}

// NewShared returns a limiter. All replicas use the same name, and replicas is their
// number. onChange, if set, is called when the shared count becomes unavailable (true)
// and available again. While away, if set, is true, Redis isn't asked.
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

// Check returns an error unless Redis counts in time. An answer is not enough: a Redis
// that can't write answers as well. It tries twice.
func (s *Shared) Check(ctx context.Context) error {
	_, err := s.try(ctx, probe, probeLimit)
	if err != nil {
		_, err = s.try(ctx, probe, probeLimit)
	}
	return err
}

// Allow counts and decides one request of a caller.
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

// try asks Redis once. It returns an error for an answer of the wrong form, on which the
// library panics.
func (s *Shared) try(ctx context.Context, caller string, limit redis_rate.Limit) (result *redis_rate.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the response of Redis is malformed: %v", cause)
		}
	}()
	result, err = s.limiter.Allow(ctx, s.name+":"+caller, limit)
	if err == nil && (result.Remaining < 0 || result.Remaining > limit.Burst) {
		err = fmt.Errorf("the response of Redis has %d of %d requests remaining, which is impossible", result.Remaining, limit.Burst)
	}
	return result, err
}
