package resilience

import (
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait before a retry: twice as long each time, and
// never quite the same, so that clients that failed together don't come back
// together.
type Backoff struct {
	// Base is the longest wait before the first retry.
	Base time.Duration
	// Max is the longest wait before any retry.
	Max time.Duration
	// Jitter returns a random duration in [0, n). Nil is rand.N; a simulation has its own.
	Jitter func(n time.Duration) time.Duration
}

// Delay returns the wait before a retry; 0 is the first. It lies between one
// half and the whole of Base doubled retry times, the whole being at most Max.
func (b Backoff) Delay(retry int) time.Duration {
	ceiling := b.ceiling(retry)
	if ceiling <= 0 {
		return 0
	}
	half := ceiling / 2
	if b.Jitter != nil {
		return half + b.Jitter(ceiling-half+1)
	}
	return half + rand.N(ceiling-half+1) //nolint:gosec // jitter is no secret
}

// ceiling doubles step by step, because a shift by an unbounded count overflows.
func (b Backoff) ceiling(retry int) time.Duration {
	ceiling := b.Base
	for range retry {
		if ceiling >= b.Max/2 {
			return b.Max
		}
		ceiling *= 2
	}
	return min(ceiling, b.Max)
}
