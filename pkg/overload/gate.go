package overload

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/prometheus/client_golang/prometheus"
)

// Found by simulation (TestTwiceTheLoad and others). With these values nothing is
// rejected at 90 % of the capacity or when load starts suddenly, and at twice the
// capacity the limit has adapted after a few seconds.
const (
	// window is the minimum time between two changes of the limit, longest the maximum, and
	// samples the number of requests that must have ended before a change.
	window  = 20 * time.Millisecond
	samples = 20
	longest = 10 * time.Second
	// memory is the number of windows over which the usual duration is averaged.
	memory = 50
	// headroom is the maximum of the limit while few requests are in flight. With more, the
	// maximum is roomFactor times the requests in flight, to leave room for bursts.
	headroom   = 150
	roomFactor = 5
)

// Gates limit how many requests run at once. Reads and writes have separate limits, so
// that slow writes don't block reads. Gates also reject requests while the CPU queue is
// too long. A nil *Gates admits everything.
type Gates struct {
	read, write *gate
	queue       *queue
}

// New returns the gates of a service, or nil if the limits are off.
func New(l Limits, registerer prometheus.Registerer) *Gates {
	if l.Off() {
		return nil
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "overload_refused_total",
		Help: "Requests rejected because of overload, by kind (read or write) and cause: concurrency (CONCURRENCY_LIMIT) or processor (the CPU queue is too long).",
	}, []string{"kind", "cause"})
	registerer.MustRegister(refused)
	return &Gates{read: newGate("read", l, refused, registerer), write: newGate("write", l, refused, registerer), queue: newQueue()}
}

type gate struct {
	limiter  adaptivelimiter.AdaptiveLimiter[any]
	most     int
	patience patience
	// byLimit and byQueue count the rejections.
	byLimit, byQueue prometheus.Counter
}

func newGate(kind string, l Limits, refused *prometheus.CounterVec, registerer prometheus.Registerer) *gate {
	g := &gate{
		most:    l.Max,
		byLimit: refused.WithLabelValues(kind, "concurrency"),
		byQueue: refused.WithLabelValues(kind, "processor"),
		limiter: adaptivelimiter.NewBuilder[any]().
			WithLimits(uint(l.Min), uint(l.Max), uint(max(l.Min, min(l.Max, headroom)))).
			WithRecentWindow(window, longest, samples).
			WithBaselineWindow(memory).
			WithMaxLimitFunc(func(n int) float64 { return max(headroom, roomFactor*float64(n)) }).
			Build(),
	}
	g.patience.start()
	registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "overload_concurrency_limit", ConstLabels: prometheus.Labels{"kind": kind},
		Help: "Current limit of concurrent requests, by kind (read or write).",
	}, func() float64 { return float64(g.limiter.Limit()) }))
	return g
}

// Enter waits for a concurrency slot. reads says whether the request only reads. light
// says that its caller has sent few requests lately; such callers are rejected last.
// Enter returns false if there is no slot soon, because of overload, or if ctx is done.
// Release a Slot with Done or Drop.
func (g *Gates) Enter(ctx context.Context, reads, light bool) (Slot, bool) {
	if g == nil {
		return Slot{}, true
	}
	gate := g.write
	if reads {
		gate = g.read
	}
	if g.queue.Full(light) {
		gate.byQueue.Inc()
		return Slot{}, false
	}
	permit, ok := gate.limiter.TryAcquirePermit()
	if !ok {
		ok = gate.patience.wait(ctx, gate.most, func(ctx context.Context) (err error) {
			permit, err = gate.limiter.AcquirePermit(ctx)
			return err
		})
	}
	if !ok {
		gate.byLimit.Inc()
		return Slot{}, false
	}
	return Slot{permit}, true
}

// Busy reports whether the CPU queue is so long that requests must be rejected, including
// those that need no slot.
func (g *Gates) Busy() bool { return g != nil && g.queue.Full(false) }

// Slot is the concurrency slot of a running request. The zero value holds none. It is not
// safe for concurrent use.
type Slot struct{ permit adaptivelimiter.Permit }

// Done releases the slot. The duration of the request adapts the limit.
func (s *Slot) Done() {
	if s.permit != nil {
		s.permit.Record()
		s.permit = nil
	}
}

// Drop releases the slot without adapting the limit. After Done it does nothing.
func (s *Slot) Drop() {
	if s.permit != nil {
		s.permit.Drop()
		s.permit = nil
	}
}
