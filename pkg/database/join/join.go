// Package join lets calls that are in flight at the same time share a statement.
package join

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/telemetry"
)

const (
	// atOnce is how many statements are under way at most: of two, one may be at the
	// server while the rows of the other are read.
	atOnce = 2
	// most is how many calls share a statement at most.
	most = 64
	// within is how long a shared statement may take. It belongs to all that share it: no
	// one's context ends it.
	within = 5 * time.Second
)

// Joiner finds values by their keys. A call that finds none under way goes at once, and
// alone. Those that wait meanwhile go together when one has ended: nobody waits for company.
// A call never joins a statement that was sent before it began, so it sees all that was
// committed by then.
type Joiner[K comparable, V any] struct {
	alone    func(context.Context, K) (V, error)
	together func(context.Context, []K) (map[K]V, error)
	missing  error

	mu       sync.Mutex
	underWay int
	waiting  []*call[K, V]
}

// call is one that waits. What it has come to is there when done is closed.
type call[K comparable, V any] struct {
	ctx   context.Context //nolint:containedctx // of a call that has not returned
	key   K
	value V
	err   error
	done  chan struct{}
}

// New returns a Joiner. Of a key that together has no value for, the error is missing, as it
// is alone's.
func New[K comparable, V any](alone func(context.Context, K) (V, error), together func(context.Context, []K) (map[K]V, error), missing error) *Joiner[K, V] {
	return &Joiner[K, V]{alone: alone, together: together, missing: missing}
}

// Do returns the value of a key. The error is alone's or together's, or that of ctx; it is
// database.ErrUnavailable where a shared statement took too long. A call that is traced goes
// alone, so that its trace tells what was done for it.
func (j *Joiner[K, V]) Do(ctx context.Context, key K) (V, error) {
	if telemetry.Recording(ctx) {
		return j.alone(ctx, key)
	}
	j.mu.Lock()
	if j.underWay < atOnce {
		j.underWay++
		j.mu.Unlock()
		defer j.next()
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

// next lets those go that wait, where a statement has ended.
func (j *Joiner[K, V]) next() {
	group := j.take()
	if len(group) > 0 {
		go func() {
			for ; len(group) > 0; group = j.take() {
				j.share(group)
			}
		}()
	}
}

// take returns who goes next. If nobody waits, nothing takes the place of what has ended.
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

// share does the work of a group, and tells each what it has come to.
func (j *Joiner[K, V]) share(group []*call[K, V]) {
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
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	keys := make([]K, 0, len(group))
	for _, c := range group {
		if !slices.Contains(keys, c.key) {
			keys = append(keys, c.key)
		}
	}
	var values map[K]V
	values, err = j.together(ctx, keys)
	if errors.Is(err, context.DeadlineExceeded) {
		err = database.Unavailable(err)
	}
	for _, c := range group {
		var found bool
		c.value, found = values[c.key]
		if !found {
			c.err = j.missing
		}
	}
}
