package httpapi

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/requestid"
)

// requestContext is the context of a request: what is known of it in one value, and
// the end of its time, for which there is a timer only where someone waits for it.
type requestContext struct {
	context.Context // of the connection, with the request's span

	id     string
	caller auth.Caller
	known  bool // the caller is
	x      *exchange

	deadline time.Time // zero: none
	timed    atomic.Pointer[timedContext]
}

// timedContext is a context with a timer.
type timedContext struct {
	context.Context
	cancel context.CancelFunc
}

// limit ends the context after a while; 0 is never.
func (c *requestContext) limit(d time.Duration) {
	if d > 0 {
		c.deadline = time.Now().Add(d)
	}
}

// release frees what the context has. It is not used any more.
func (c *requestContext) release() {
	if timed := c.timed.Load(); timed != nil {
		timed.cancel()
	}
}

// Deadline is part of context.Context.
func (c *requestContext) Deadline() (time.Time, bool) {
	if c.deadline.IsZero() {
		return c.Context.Deadline()
	}
	return c.deadline, true
}

// Done is part of context.Context.
func (c *requestContext) Done() <-chan struct{} {
	if c.deadline.IsZero() {
		return c.Context.Done()
	}
	timed := c.timed.Load()
	if timed == nil {
		made := &timedContext{}
		made.Context, made.cancel = context.WithDeadline(c.Context, c.deadline)
		if c.timed.CompareAndSwap(nil, made) {
			timed = made
		} else {
			made.cancel()
			timed = c.timed.Load()
		}
	}
	return timed.Done()
}

// Err is part of context.Context.
func (c *requestContext) Err() error {
	if timed := c.timed.Load(); timed != nil {
		return timed.Err()
	}
	err := c.Context.Err()
	if err == nil && !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		return context.DeadlineExceeded
	}
	return err
}

// exchangeKey is under which the context has the exchange.
type exchangeKey struct{}

// Value is part of context.Context.
func (c *requestContext) Value(key any) any {
	switch key.(type) {
	case requestid.Key:
		return &c.id
	case exchangeKey:
		return c.x
	case auth.Key:
		if c.known {
			return &c.caller
		}
	}
	if timed := c.timed.Load(); timed != nil {
		return timed.Value(key) // so that contexts made of this one need no goroutine
	}
	return c.Context.Value(key)
}
