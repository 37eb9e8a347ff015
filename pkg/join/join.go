// Package join lets calls that are made at the same time share a statement or a request.
package join

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/example/microservices/pkg/telemetry"
)

// most limits the calls that share a statement.
const most = 64

// Limits are the limits of a Joiner.
type Limits struct {
	// AtOnce is how many statements are in flight, unless they are slow.
	AtOnce int
	// Patience is how long a statement counts as in flight: calls don't wait longer for one
	// that is slow.
	Patience time.Duration
	// Within limits the time of a shared statement. No caller's context ends it, because it
	// belongs to all of them.
	Within time.Duration
}

// Joiner turns keys into values by calls to another program, here called statements: ids
// into rows, for example. While fewer than Limits.AtOnce are in flight, a call sends its own
// at once. Other calls wait until one ends, and then share a statement: nobody waits just to
// be joined. A call never joins a statement sent before the call began, so it sees everything
// committed until then.
type Joiner[K comparable, V any] struct {
	limits   Limits
	alone    func(context.Context, K) (V, error)
	together func(context.Context, []K) (map[K]V, error)
	missing  error

	mu       sync.Mutex
	underWay int
	waiting  []*call[K, V]
}

// call is a waiting call. Its result is set when done is closed.
type call[K comparable, V any] struct {
	ctx   context.Context //nolint:containedctx // of a call that has not returned
	key   K
	value V
	err   error
	done  chan struct{}
}

// New returns a Joiner. alone takes one key, together several. missing is the error for a key
// without a value in together's result; alone must return the same error for it.
func New[K comparable, V any](l Limits, alone func(context.Context, K) (V, error), together func(context.Context, []K) (map[K]V, error), missing error) *Joiner[K, V] {
	return &Joiner[K, V]{limits: l, alone: alone, together: together, missing: missing}
}

// Do returns the value of a key, the error of alone or together, or ctx's error. A traced
// call is never joined, so that its trace shows its own statement.
func (j *Joiner[K, V]) Do(ctx context.Context, key K) (V, error) {
	if telemetry.Recording(ctx) {
		return j.alone(ctx, key)
	}
	j.mu.Lock()
	if j.underWay < j.limits.AtOnce {
		j.underWay++
		j.mu.Unlock()
		defer j.begin()()
		return j.alone(ctx, key)
	}
	c := &call[K, V]{ctx: ctx, key: key, done: make(chan struct{})}
	j.waiting = append(j.waiting, c)
	j.mu.Unlock()
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		j.mu.Lock()
		defer j.mu.Unlock()
		j.waiting = slices.DeleteFunc(j.waiting, func(other *call[K, V]) bool { return other == c })
		var none V
		return none, ctx.Err()
	}
}

// begin begins a statement, and returns the function to call at its end.
func (j *Joiner[K, V]) begin() (end func()) {
	slow := time.AfterFunc(j.limits.Patience, j.next)
	return func() {
		if slow.Stop() {
			j.next()
		}
	}
}

// next gives a statement's slot to the waiting calls.
func (j *Joiner[K, V]) next() {
	group := j.take()
	if len(group) > 0 {
		go j.share(group)
	}
}

// take returns the next group. If no call waits, it frees the slot.
func (j *Joiner[K, V]) take() []*call[K, V] {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 {
		j.underWay--
		return nil
	}
	group := slices.Clone(j.waiting[:min(most, len(j.waiting))])
	j.waiting = slices.Delete(j.waiting, 0, len(group))
	return group
}

// share runs a group, and sets the result of each call.
func (j *Joiner[K, V]) share(group []*call[K, V]) {
	defer j.begin()()
	var err error
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic in a shared statement: %v\n%s", cause, debug.Stack())
		}
		for _, c := range group {
			if err != nil {
				c.err = err
			}
			close(c.done)
		}
	}()
	if len(group) == 1 {
		c := group[0]
		c.value, c.err = j.alone(c.ctx, c.key)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), j.limits.Within)
	defer cancel()
	keys := make([]K, 0, len(group))
	for _, c := range group {
		if !slices.Contains(keys, c.key) {
			keys = append(keys, c.key)
		}
	}
	var values map[K]V
	values, err = j.together(ctx, keys)
	for _, c := range group {
		var found bool
		c.value, found = values[c.key]
		if !found {
			c.err = j.missing
		}
	}
}
