package resilience

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

var (
	// ErrAbandoned is the cause with which a shared call's context is cancelled
	// when the last of its waiters has gone.
	ErrAbandoned = errors.New("nobody waits for the call any more")
	// ErrClosed is what Flight.Do returns after Close, and the cause with which
	// Close cancels the calls under way.
	ErrClosed = errors.New("closed")

	// errNoReturn is the result of a call that ended in runtime.Goexit.
	errNoReturn = errors.New("the shared call did not return")
)

// Flight makes one call for any number of callers that ask for the same key at
// the same time. In contrast to x/sync/singleflight the call belongs to nobody:
// it runs detached from the caller that came first, a caller that gives up
// leaves the others alone, and the last one to give up ends the call.
//
// The zero value is ready. A Flight is safe for concurrent use.
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

// Do returns what call returns for key, made now or already under way.
//
// The context that call gets carries the values of the first caller's ctx but
// not its cancellation nor its deadline, so call must bound itself. It is
// cancelled with the cause ErrAbandoned when no caller waits any more, and with
// ErrClosed by Close. The values must stay usable after the first caller has
// returned; those of an http.Request's context do.
//
// When ctx ends first, Do returns ctx's error at once. A panic in call reaches
// every caller that waits.
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

// Close ends every call under way, waits until they are over, and makes Do fail
// with ErrClosed from now on.
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

// leave takes one waiter off a call, and ends the call if that was the last.
// Forgetting it under the same lock keeps anyone from joining a dying call.
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

// run keeps a panic from ending the process on a goroutine where nobody can
// recover it; the waiters pass it on where someone can.
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
