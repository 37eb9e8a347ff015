package resilience

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

var (
	// ErrAbandoned is the cancellation cause of a shared call after its last caller has
	// left.
	ErrAbandoned = errors.New("all callers have given up on the call")
	// ErrClosed is returned by Flight.Do after Close, and is the cancellation cause of the
	// calls in flight.
	ErrClosed = errors.New("closed")

	// errNoReturn is the result of a call that ended with runtime.Goexit.
	errNoReturn = errors.New("the shared call did not return")
)

// Flight makes one call for all callers that ask for the same key at the same time.
// Unlike x/sync/singleflight, the call is detached from its first caller: a caller that
// gives up doesn't affect the others, and the call is cancelled when the last one gives
// up.
//
// The zero value is ready to use. A Flight is safe for concurrent use.
type Flight[K comparable, V any] struct {
	mu     sync.Mutex
	calls  map[K]*sharedCall[V]
	closed bool
	wg     sync.WaitGroup
}

type sharedCall[V any] struct {
	cancel  context.CancelCauseFunc
	waiters int // guarded by Flight.mu

	done   chan struct{} // closed when the fields below are set
	value  V
	err    error
	panics error
}

// Do returns the result of call for key: of a new call, or of the one in flight.
//
// The context passed to call has the values of the first caller's ctx, but neither its
// cancellation nor its deadline, so call must limit itself. It is cancelled with the
// cause ErrAbandoned when no caller waits any more, and with ErrClosed by Close. The
// values must stay usable after the first caller has returned; those of an http.Request's
// context do.
//
// If ctx ends first, Do returns ctx's error at once. A panic in call is raised in every
// waiting caller.
func (f *Flight[K, V]) Do(ctx context.Context, key K, call func(context.Context) (V, error)) (V, error) {
	var zero V
	err := ctx.Err()
	if err != nil {
		return zero, err
	}
	c, err := f.join(ctx, key, call)
	if err != nil {
		return zero, err
	}
	select {
	case <-c.done:
		if c.panics != nil {
			panic(c.panics)
		}
		return c.value, c.err
	case <-ctx.Done():
		f.leave(key, c)
		return zero, ctx.Err()
	}
}

// Close cancels the calls in flight and waits for them. Do returns ErrClosed from then
// on.
func (f *Flight[K, V]) Close() {
	f.mu.Lock()
	f.closed = true
	for _, c := range f.calls {
		c.cancel(ErrClosed)
	}
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *Flight[K, V]) join(ctx context.Context, key K, call func(context.Context) (V, error)) (*sharedCall[V], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	c, ok := f.calls[key]
	if ok {
		c.waiters++
		return c, nil
	}
	detached, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	c = &sharedCall[V]{cancel: cancel, waiters: 1, done: make(chan struct{})}
	if f.calls == nil {
		f.calls = make(map[K]*sharedCall[V])
	}
	f.calls[key] = c
	f.wg.Go(func() {
		defer cancel(nil)
		defer close(c.done)
		defer f.forget(key, c)
		c.run(detached, call)
	})
	return c, nil
}

// leave removes one waiter from a call, and cancels the call after the last one. It
// removes the call under the same lock, so that nobody joins a cancelled call.
func (f *Flight[K, V]) leave(key K, c *sharedCall[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.waiters--
	if c.waiters > 0 {
		return
	}
	if f.calls[key] == c {
		delete(f.calls, key)
	}
	c.cancel(ErrAbandoned)
}

func (f *Flight[K, V]) forget(key K, c *sharedCall[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls[key] == c {
		delete(f.calls, key)
	}
}

// run recovers a panic, which would end the process on this goroutine. The waiters raise
// it again.
func (c *sharedCall[V]) run(ctx context.Context, call func(context.Context) (V, error)) {
	defer func() {
		r := recover()
		if r != nil {
			c.panics = fmt.Errorf("panic in a shared call: %v\n%s", r, debug.Stack())
		}
	}()
	c.err = errNoReturn
	c.value, c.err = call(ctx)
}
