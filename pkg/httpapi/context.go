package httpapi

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/requestid"
)

// requestContext is the context of a request. It keeps the request's values in one
// allocation, and starts a timer for the deadline only if somebody waits for Done.
type requestContext struct {
	context.Context // the connection's, with the request's span

	id     string
	caller auth.Caller
	known  bool // caller is set
	x      *exchange

	deadline time.Time // zero: none
	timed    atomic.Pointer[timedContext]
}

// timedContext is a context with a timer.
type timedContext struct {
	context.Context
	cancel context.CancelFunc
}

// limit sets the deadline to d from now; 0 means none.
func (c *requestContext) limit(d time.Duration) {
	if d > 0 {
		c.deadline = time.Now().Add(d)
	}
}

// release stops the timer. The context must not be used afterwards.
func (c *requestContext) release() {
	if timed := c.timed.Load(); timed != nil {
		timed.cancel()
	}
}

// Deadline implements context.Context.
func (c *requestContext) Deadline() (time.Time, bool) {
	if c.deadline.IsZero() {
		return c.Context.Deadline()
	}
	return c.deadline, true
}

// Done implements context.Context.
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

// Err implements context.Context.
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

// exchangeKey is the context key of the exchange.
type exchangeKey struct{}

// Value implements context.Context.
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
		return timed.Value(key) // lets package context derive contexts without a goroutine
	}
	return c.Context.Value(key)
}
