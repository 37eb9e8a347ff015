package overload

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/prometheus/client_golang/prometheus"
)

// Found by simulation (TestTwiceTheLoad, with others): with these nothing is
// refused at 90 % of what can be carried, nor when a load sets in all of a sudden,
// and at twice of it the bound is down in a few seconds.
const (
	// window is the least time between two changes of the bound, samples the
	// requests that must have ended in it, and longest the most time.
	window  = 20 * time.Millisecond
	samples = 20
	longest = 10 * time.Second
	// memory is over how many windows the usual duration is an average.
	memory = 50
	// headroom is how high the bound may be while little is under way, and
	// roomFactor how many times of that while more is: for bursts.
	headroom   = 150
	roomFactor = 5
)

// Gates bound how many requests are worked on: reads and writes apart, so that
// writes which wait for something slow don't keep reads out. They also bound how
// many requests wait for a processor. A nil *Gates lets everything through.
type Gates struct {
	read, write *gate
	queue       *queue
}

// New returns the gates of a service, or nil when there is no bound.
func New(l Limits, registerer prometheus.Registerer) *Gates {
	if l.Off() {
		return nil
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "overload_refused_total",
		Help: "Requests that were refused because there were too many, by kind, and by what there was too little of: concurrency (CONCURRENCY_LIMIT) or processor.",
	}, []string{"kind", "cause"})
	registerer.MustRegister(refused)
	return &Gates{read: newGate("read", l, refused, registerer), write: newGate("write", l, refused, registerer), queue: newQueue()}
}

type gate struct {
	limiter  adaptivelimiter.AdaptiveLimiter[any]
	most     int
	patience patience
	// byLimit and byQueue count what was refused.
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
		Help: "How many requests may be under way, by kind.",
	}, func() float64 { return float64(g.limiter.Limit()) }))
	return g
}

// Enter waits for a request's turn, which only reads or not, and is of a caller who
// has asked for little lately or not: such a one is refused last. It returns false if
// the turn doesn't come soon: more is asked than can be answered, or ctx is done.
// Whoever got a Slot must leave it: Done or Drop.
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

// Busy reports whether so many requests wait for a processor that none should be
// answered, also of those that need no turn.
func (g *Gates) Busy() bool { return g != nil && g.queue.Full(false) }

// Slot is the turn of a request that is worked on. The zero value is one of a
// service without a bound. It is not safe for concurrent use.
type Slot struct{ permit adaptivelimiter.Permit }

// Done leaves. How long the work took counts for the bound.
func (s *Slot) Done() {
	if s.permit != nil {
		s.permit.Record()
		s.permit = nil
	}
}

// Drop leaves, and nothing is learnt of how long the work took. After Done it does
// nothing.
func (s *Slot) Drop() {
	if s.permit != nil {
		s.permit.Drop()
		s.permit = nil
	}
}
