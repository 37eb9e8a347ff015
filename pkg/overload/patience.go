package overload

import (
	"context"
	"sync"
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

	mu      sync.Mutex
	waiting int
	// since and refused are times after began: since when requests wait without a
	// pause, and when one was refused last.
	since, refused time.Duration
}

func (p *patience) start() { p.began = time.Now().Add(-2 * calm) }

// wait waits for acquire, unless there is an overload or as many wait as may. It
// reports whether acquire has succeeded.
func (p *patience) wait(ctx context.Context, most int, acquire func(context.Context) error) bool {
	if !p.begin(most) {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	err := acquire(limited)
	p.end(err != nil && ctx.Err() == nil)
	return err == nil
}

// begin reports whether one more may wait.
func (p *patience) begin(most int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.began)
	if p.waiting == 0 {
		p.since = now
	}
	stands := now-p.refused < calm || now-p.since > burst
	if stands && !p.endless || p.waiting >= most {
		p.refused = now
		return false
	}
	p.waiting++
	return true
}

// end takes note of one that waits no more.
func (p *patience) end(refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
	if refused {
		p.refused = time.Since(p.began)
	}
}
