package userclient

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/example/microservices/pkg/resilience"
	"github.com/example/microservices/services/order-service/internal/order"
)

var errLimited = errors.New("too many requests to user-service are in flight")

// askWithRetry makes attempts until one succeeds or nextTry allows no more.
func (c *Client) askWithRetry(ctx context.Context, id uuid.UUID) error {
	for retry := 0; ; retry++ {
		err := c.guardedTry(ctx, id)
		if retry == 0 && outcomeOf(err).tried() {
			// An attempt that the breaker or the limit rejected sent no request, so it
			// adds nothing to the retry budget.
			c.budget.Deposit()
		}
		if err == nil {
			return nil
		}
		wait, ok := c.nextTry(ctx, err, retry)
		if !ok {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return brokenOff(ctx, ctx.Err())
		}
		c.metrics.retries.Inc()
		trace.SpanFromContext(ctx).AddEvent("user-service is asked again", trace.WithAttributes(
			attribute.Int("retry", retry+1), attribute.String("after", outcomeOf(err).String()), attribute.Stringer("waited", wait)))
	}
}

// nextTry returns the wait before the next attempt after err, and whether to make one.
func (c *Client) nextTry(ctx context.Context, err error, retry int) (time.Duration, bool) {
	f, ok := errors.AsType[*failure](err)
	if !ok || !f.mayRetry() || retry+1 >= c.cfg.MaxTries {
		return 0, false
	}
	wait := max(c.backoff.Delay(retry), f.retryAfter)
	// With less than TryTimeout left, the total deadline would cut the attempt off, and the
	// breaker would count a failure of user-service.
	deadline, ok := ctx.Deadline()
	if ok && time.Until(deadline) < wait+c.cfg.TryTimeout {
		return 0, false
	}
	if c.breaker.State() == resilience.Open {
		return 0, false
	}
	if !c.budget.Withdraw() {
		c.metrics.retriesDenied.Inc()
		return 0, false
	}
	return wait, true
}

// guardedTry makes one attempt behind the concurrency limit and the breaker. The limit comes
// first: a missing slot says nothing about user-service, and must not use up the half-open
// breaker's only probe.
func (c *Client) guardedTry(ctx context.Context, id uuid.UUID) error {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	default:
		trace.SpanFromContext(ctx).AddEvent("too many lookups are in flight")
		return &failure{outcome: limited, err: errLimited}
	}
	err := c.breaker.Do(func() error { return c.try(ctx, id) })
	if errors.Is(err, resilience.ErrOpen) {
		trace.SpanFromContext(ctx).AddEvent("the circuit breaker is open")
	}
	return err
}

// brokenOff returns the failure for the end of ctx: closed, canceled or timed out.
func brokenOff(ctx context.Context, err error) *failure {
	switch {
	case errors.Is(context.Cause(ctx), resilience.ErrClosed):
		return &failure{outcome: canceled, err: resilience.ErrClosed}
	case errors.Is(ctx.Err(), context.Canceled):
		return &failure{outcome: canceled, err: err}
	default:
		return &failure{outcome: timeout, err: err}
	}
}

// unavailable converts err to *order.UsersUnavailableError. RetryAfter is the longer of
// user-service's Retry-After and the time until the breaker probes again.
func (c *Client) unavailable(err error) error {
	wait := c.breaker.OpenLeft()
	f, ok := errors.AsType[*failure](err)
	if ok {
		wait = max(wait, f.retryAfter)
		if f.outcome == denied {
			// Somebody must fix the configuration, which takes longer.
			wait = max(wait, c.cfg.BreakerOpen)
		}
	}
	return &order.UsersUnavailableError{RetryAfter: wholeSeconds(wait), Err: err}
}

// wholeSeconds rounds up to whole seconds, as Retry-After needs (RFC 9110 section 10.2.3),
// and to at least 1s, so that clients don't retry in a busy loop.
func wholeSeconds(d time.Duration) time.Duration {
	return max(time.Second, (d + time.Second - 1).Truncate(time.Second))
}
