package ratelimit

import (
	"sync/atomic"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/time/rate"
)

const (
	// free is how large a request and its answer may be together without counting, in
	// bytes.
	free = 8 << 10
	// remembered is how long a caller's volume is.
	remembered = 10 * time.Minute
)

// Volume bounds how much one caller may send and be sent, in this process. What an
// answer costs is known when it is there, so that a caller may be in debt, and has to
// wait then. It is safe for concurrent use. A nil *Volume is no bound.
type Volume struct {
	limit   Limit
	callers *ttlcache.Cache[string, *rate.Limiter]
	// charged says that there is somebody in callers.
	charged atomic.Bool
}

// NewVolume returns the bound of a limit, in KiB. Of more than so many callers it
// forgets whom it has not seen for longest.
func NewVolume(limit Limit, callers uint64) *Volume {
	return &Volume{limit: limit, callers: ttlcache.New(
		ttlcache.WithCapacity[string, *rate.Limiter](callers), ttlcache.WithTTL[string, *rate.Limiter](remembered),
	)}
}

// Wait returns how long a caller has to wait until it may ask for more.
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

// Charge counts what a caller has sent and was sent by one request, in bytes.
func (v *Volume) Charge(caller string, bytes int64) {
	if v == nil || bytes <= free {
		return
	}
	v.charged.Store(true)
	limiter, _ := v.callers.GetOrSetFunc(caller, func() *rate.Limiter { return rate.NewLimiter(rate.Limit(v.perSecond()), v.limit.Burst) })
	limiter.Value().ReserveN(time.Now(), min(v.limit.Burst, int(bytes>>10)))
}

func (v *Volume) perSecond() float64 { return float64(v.limit.Requests) / v.limit.Period.Seconds() }
