package ratelimit

import (
	"sync/atomic"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/time/rate"
)

const (
	// free is how many bytes a request and its answer may have together without counting.
	free = 8 << 10
	// remembered is how long a caller's volume is kept.
	remembered = 10 * time.Minute
)

// Volume limits how many bytes one caller may send and receive, in this process. The cost
// of an answer is known only when it exists, so a caller can go into debt, and must then
// wait. It is safe for concurrent use. A nil *Volume is unlimited.
type Volume struct {
	limit   Limit
	callers *ttlcache.Cache[string, *rate.Limiter]
	// charged: callers isn't empty.
	charged atomic.Bool
}

// NewVolume returns a limit in KiB. It remembers up to the given number of callers, and
// forgets the least recently seen first.
func NewVolume(limit Limit, callers uint64) *Volume {
	return &Volume{limit: limit, callers: ttlcache.New(
		ttlcache.WithCapacity[string, *rate.Limiter](callers), ttlcache.WithTTL[string, *rate.Limiter](remembered),
	)}
}

// Wait returns how long a caller must wait before its next request, or 0.
func (v *Volume) Wait(caller string) time.Duration {
	if v == nil || !v.charged.Load() {
		return 0
	}
	known := v.callers.Get(caller)
	if known == nil {
		return 0
	}
	missing := 1 - known.Value().Tokens()
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / v.perSecond() * float64(time.Second))
}

// Charge counts the bytes that one request of a caller sent and received.
func (v *Volume) Charge(caller string, bytes int64) {
	if v == nil || bytes <= free {
		return
	}
	v.charged.Store(true)
	limiter, _ := v.callers.GetOrSetFunc(caller, func() *rate.Limiter { return rate.NewLimiter(rate.Limit(v.perSecond()), v.limit.Burst) })
	limiter.Value().ReserveN(time.Now(), min(v.limit.Burst, int(bytes>>10)))
}

func (v *Volume) perSecond() float64 { return float64(v.limit.Requests) / v.limit.Period.Seconds() }
