package overload

import (
	"context"
	"sync"
	"time"
)

const (
	// maxWait limits how long a request waits for a slot or memory. In a burst, requests
	// that could be answered soon are not rejected.
	maxWait = time.Second
	// burst is how long requests may be waiting without interruption before this counts as
	// overload. From then on, no request waits: it is rejected at once.
	burst = 500 * time.Millisecond
	// calm: the overload is over when no request has been rejected for this long.
	calm = time.Second
)

// patience tells a burst, in which requests wait, from a standing queue, in which they
// would all be late (RFC 8289, section 3.2). It is safe for concurrent use.
type patience struct {
	began time.Time
	// endless: requests always wait, for up to maxWait. It is for the queue of one caller,
	// which delays only itself.
	endless bool

	mu      sync.Mutex
	waiting int
	// since is when requests began to wait without interruption, and refused when one was
	// last rejected. Both count from began.
	since, refused time.Duration
}

// start sets began, in the past, so that the zero value of refused doesn't count as a recent
// rejection.
func (p *patience) start() { p.began = time.Now().Add(-2 * calm) }

// wait calls acquire, and reports whether it has succeeded. It returns false at once
// during overload, or if limit requests are waiting already.
func (p *patience) wait(ctx context.Context, limit int, acquire func(context.Context) error) bool {
	if !p.begin(limit) {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	err := acquire(limited)
	p.end(err != nil && ctx.Err() == nil)
	return err == nil
}

// begin reports whether one more request may wait.
func (p *patience) begin(limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.began)
	if p.waiting == 0 {
		p.since = now
	}
	stands := now-p.refused < calm || now-p.since > burst
	if stands && !p.endless || p.waiting >= limit {
		p.refused = now
		return false
	}
	p.waiting++
	return true
}

// end records the end of a wait.
func (p *patience) end(refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
	if refused {
		p.refused = time.Since(p.began)
	}
}
