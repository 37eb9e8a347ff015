package overload

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// maxWait is how long a request waits for what others hold. In a burst nothing is
	// refused that could be answered soon.
	maxWait = time.Second
	// burst is how long requests may be waiting without a pause until that is an
	// overload. Then none waits: what is refused is refused at once.
	burst = 500 * time.Millisecond
	// calm is how long nothing must be refused until an overload is over.
	calm = time.Second
)

// patience tells a burst, which waits its turn, from a queue that stands, in which
// all who wait would only be late (RFC 8289, section 3.2). It is safe for concurrent
// use.
type patience struct {
	began time.Time
	// endless says that requests always wait, for as long as maxWait: those of one
	// caller, who keeps only itself waiting.
	endless bool
	waiting atomic.Int64
	// since and refused are times after began: since when requests wait without a
	// pause, and when one was refused last.
	since, refused atomic.Int64
}

func (p *patience) start() { p.began = time.Now().Add(-2 * calm) }

// wait waits for acquire, unless there is an overload or as many wait as may. It
// reports whether acquire has succeeded.
func (p *patience) wait(ctx context.Context, most int, acquire func(context.Context) error) bool {
	now := int64(time.Since(p.began))
	if p.waiting.Add(1) == 1 {
		p.since.Store(now)
	}
	defer p.waiting.Add(-1)
	stands := now-p.refused.Load() < int64(calm) || now-p.since.Load() > int64(burst)
	if stands && !p.endless || p.waiting.Load() > int64(most) {
		p.refused.Store(now)
		return false
	}
	limited, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	err := acquire(limited)
	if err != nil && ctx.Err() == nil {
		p.refused.Store(int64(time.Since(p.began)))
	}
	return err == nil
}
