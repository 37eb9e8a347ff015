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
	// window is the least time between two changes of the bound, and samples how
	// many requests must have ended in it; longest is when it goes by fewer.
	window  = 20 * time.Millisecond
	samples = 20
	longest = 10 * time.Second
	// memory is over how many windows the usual duration is an average.
	memory = 50
	// headroom is how high the bound may be while little is under way, and
	// roomFactor how many times of that while more is: for bursts.
	headroom   = 150
	roomFactor = 5
	// resumeWait is how long a request that has its body waits to go on. Those who
	// wait come before those who arrive.
	resumeWait = 100 * time.Millisecond
)

// Gates bound what is under way: reads and writes apart, so that writes which
// wait for something slow don't keep reads out. They also bound what waits for a
// processor. A nil *Gates lets everything through.
type Gates struct {
	read, write *gate
	queue       *queue
	// bodies has room for the requests whose bodies are on their way.
	bodies chan struct{}
}

// maxBodies is how many requests may have a body on its way, or more under way if
// the bound allows that: each takes about 150 KiB at most.
const maxBodies = 512

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
	return &Gates{read: newGate("read", l, refused, registerer), write: newGate("write", l, refused, registerer), queue: newQueue(), bodies: make(chan struct{}, max(maxBodies, l.Max))}
}

type gate struct {
	limiter adaptivelimiter.AdaptiveLimiter[any]
	// byLimit and byQueue count what was refused.
	byLimit, byQueue prometheus.Counter
}

func newGate(kind string, l Limits, refused *prometheus.CounterVec, registerer prometheus.Registerer) *gate {
	g := &gate{
		byLimit: refused.WithLabelValues(kind, "concurrency"),
		byQueue: refused.WithLabelValues(kind, "processor"),
		limiter: adaptivelimiter.NewBuilder[any]().
			WithLimits(uint(l.Min), uint(l.Max), uint(max(l.Min, min(l.Max, headroom)))).
			WithRecentWindow(window, longest, samples).
			WithBaselineWindow(memory).
			WithMaxLimitFunc(func(n int) float64 { return max(headroom, roomFactor*float64(n)) }).
			Build(),
	}
	registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "overload_concurrency_limit", ConstLabels: prometheus.Labels{"kind": kind},
		Help: "How many requests may be under way, by kind.",
	}, func() float64 { return float64(g.limiter.Limit()) }))
	return g
}

// Enter lets a request in, which only reads or not, unless too many are under way.
// Whoever got a Slot must leave: Done or Drop.
func (g *Gates) Enter(reads bool) (*Slot, bool) {
	if g == nil {
		return nil, true
	}
	gate := g.write
	if reads {
		gate = g.read
	}
	if g.queue.Full() {
		gate.byQueue.Inc()
		return nil, false
	}
	permit, ok := gate.limiter.TryAcquirePermit()
	if !ok {
		gate.byLimit.Inc()
		return nil, false
	}
	return &Slot{gate: gate, permit: permit}, true
}

// Busy reports whether so many requests wait for a processor that none should be
// answered, also of those that have no place.
func (g *Gates) Busy() bool { return g != nil && g.queue.Full() }

// Await makes room for a body that is on its way, unless there are too many, until
// done is called. Its slot may be dropped meanwhile.
func (g *Gates) Await() (done func(), ok bool) {
	if g == nil {
		return func() {}, true
	}
	select {
	case g.bodies <- struct{}{}:
		return func() { <-g.bodies }, true
	default:
		g.write.byLimit.Inc()
		return nil, false
	}
}

// Slot is the place of a request that is under way. A nil *Slot is one of a
// service without a bound. It is not safe for concurrent use.
type Slot struct {
	gate   *gate
	permit adaptivelimiter.Permit
}

// Done leaves. How long it took counts for the bound.
func (s *Slot) Done() {
	if s != nil && s.permit != nil {
		s.permit.Record()
		s.permit = nil
	}
}

// Drop leaves, and nothing is learnt of how long it took: it was refused for
// another reason, or waits for its client. Without a place it does nothing.
func (s *Slot) Drop() {
	if s != nil && s.permit != nil {
		s.permit.Drop()
		s.permit = nil
	}
}

// Resume takes a place again after Drop, and reports whether there is one in
// time.
func (s *Slot) Resume(ctx context.Context) bool {
	if s == nil || s.permit != nil {
		return true
	}
	permit, err := s.gate.limiter.AcquirePermitWithMaxWait(ctx, resumeWait)
	if err != nil {
		s.gate.byLimit.Inc()
		return false
	}
	s.permit = permit
	return true
}

type slotKey struct{}

// With returns a context of the request that has a slot.
func With(ctx context.Context, s *Slot) context.Context {
	return context.WithValue(ctx, slotKey{}, s)
}

// From returns the slot of a request, which is nil where there is no bound.
func From(ctx context.Context) *Slot {
	s, _ := ctx.Value(slotKey{}).(*Slot)
	return s
}
