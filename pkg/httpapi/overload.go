package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/prometheus/client_golang/prometheus"
)

// OverloadConfig says how much a service does at once.
type OverloadConfig struct {
	MaxConcurrent uint `envconfig:"MAX_CONCURRENT_REQUESTS" default:"256" desc:"most requests that are answered at once; when they slow each other down it is fewer, and the rest gets 503 at once; 0: any number"`
}

// floor is the least number of requests that are answered at once, however slow
// they are: a dependency that hangs makes them slow as well.
const floor = 16

// overload bounds how many operations go on at once, by how long they take: when
// that grows with their number there are too many.
type overload struct {
	limiter  adaptivelimiter.AdaptiveLimiter[any]
	rejected prometheus.Counter
}

// newOverload returns nil for no bound.
func newOverload(c OverloadConfig, metrics prometheus.Registerer) *overload {
	if c.MaxConcurrent == 0 {
		return nil
	}
	least := min(floor, c.MaxConcurrent)
	o := &overload{
		// The room for a burst is that of the last half minute's busiest moment.
		limiter: adaptivelimiter.NewBuilder[any]().WithLimits(least, c.MaxConcurrent, c.MaxConcurrent).
			WithMaxLimitStabilizationWindow(30 * time.Second).Build(),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "http_server_requests_rejected_total",
			Help: "Requests that were answered with 503 because there were too many at once.",
		}),
	}
	metrics.MustRegister(o.rejected,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "http_server_concurrency_limit",
			Help: "Operations that may go on at once.",
		}, func() float64 { return float64(o.limiter.Limit()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "http_server_operations_in_flight",
			Help: "Operations that go on.",
		}, func() float64 { return float64(o.limiter.Inflight()) }),
	)
	return o
}

// tooBusy is the 503 of a request that there is no room for.
func (o *overload) tooBusy() *Problem {
	o.rejected.Inc()
	return Unavailable("the service is too busy; try again in a moment", time.Second)
}

// admit is the first middleware of an operation. Without a body to wait for, the
// operation begins here; with one only a place is looked for, so that a client
// that takes its time holds none.
func (a *API) admit(hasBody bool) func(huma.Context, func(huma.Context)) {
	o := a.overload
	return func(ctx huma.Context, next func(huma.Context)) {
		if hasBody {
			if !o.limiter.CanAcquirePermit() {
				a.refuse(ctx, o.tooBusy())
				return
			}
			next(ctx)
			return
		}
		permit, ok := o.limiter.TryAcquirePermit()
		if !ok {
			a.refuse(ctx, o.tooBusy())
			return
		}
		failed := true // a panic as well
		defer func() { finish(permit, failed) }()
		next(ctx)
		failed = ctx.Status() >= http.StatusInternalServerError
	}
}

// onceThere makes a handler one that begins when the body is there, if there is
// room for it then.
func onceThere[I, O any](a *API, handler func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		permit, ok := a.overload.limiter.TryAcquirePermit()
		if !ok {
			return nil, a.overload.tooBusy()
		}
		failed := true // a panic as well
		defer func() { finish(permit, failed) }()
		out, err := handler(ctx, in)
		failed = err != nil
		return out, err
	}
}

// finish ends an operation. How long it took says something if it has succeeded.
func finish(permit adaptivelimiter.Permit, failed bool) {
	if failed {
		permit.Drop()
		return
	}
	permit.Record()
}
