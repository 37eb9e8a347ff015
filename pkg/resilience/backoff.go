package resilience

import (
	"math/rand/v2"
	"time"
)

// Backoff computes the delays before retries. They double each time, and have jitter, so
// that clients that failed together don't retry together.
type Backoff struct {
	// Base is the maximum delay before the first retry.
	Base time.Duration
	// Max is the maximum delay before any retry.
	Max time.Duration
	// Jitter returns a random duration in [0, n); nil means rand.N. Simulations set it.
	Jitter func(n time.Duration) time.Duration
}

// Delay returns the delay before a retry, counted from 0. It is between half and all of
// Base × 2^retry, where all is at most Max.
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

// ceiling doubles step by step: a shift by an unbounded count would overflow.
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
