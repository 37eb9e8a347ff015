package userclient

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/example/microservices/pkg/resilience"
)

// metrics is a single collector, so that registration succeeds or fails as a whole. All
// series exist from the start: rate() misses the event with which a series appears.
type metrics struct {
	requests      [outcomes]prometheus.Counter
	tries         [outcomes]prometheus.Observer
	retries       prometheus.Counter
	retriesDenied prometheus.Counter
	inFlight      prometheus.Gauge
	cacheHits     prometheus.Counter
	cacheMisses   prometheus.Counter
	transitions   *prometheus.CounterVec

	state      func() resilience.State
	stateDesc  *prometheus.Desc
	collectors []prometheus.Collector
}

// tried observes an attempt's duration, with the trace id as exemplar if its span is sampled.
func (m *metrics) tried(span trace.Span, o outcome, took time.Duration) {
	exemplars, ok := m.tries[o].(prometheus.ExemplarObserver)
	if ok && span.SpanContext().IsSampled() {
		exemplars.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": span.SpanContext().TraceID().String()})
		return
	}
	m.tries[o].Observe(took.Seconds())
}

func newMetrics(state func() resilience.State) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "user_client_requests_total",
		Help: "User lookups, by outcome; answered from the cache or by user-service.",
	}, []string{"outcome"})
	tries := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "user_client_try_duration_seconds",
		Help:    "Duration of single requests to user-service, by outcome.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		// As for requests in pkg/httpapi.
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"outcome"})
	cache := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "user_client_cache_requests_total",
		Help: "Lookups in the cache of verified users, by result: hit or miss.",
	}, []string{"result"})
	m := &metrics{
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "user_client_retries_total",
			Help: "Retries of failed requests to user-service.",
		}),
		retriesDenied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "user_client_retries_denied_total",
			Help: "Retries that were skipped because the retry budget was exhausted.",
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "user_client_requests_in_flight",
			Help: "Requests to user-service in flight.",
		}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "user_client_breaker_transitions_total",
			Help: "Changes of the circuit breaker's state.",
		}, []string{"from", "to"}),
		cacheHits:   cache.WithLabelValues("hit"),
		cacheMisses: cache.WithLabelValues("miss"),
		state:       state,
		stateDesc: prometheus.NewDesc("user_client_breaker_state",
			"State of the circuit breaker: 1 for the current state, 0 for the others.",
			[]string{"state"}, nil),
	}
	for o := range outcomes {
		m.requests[o] = requests.WithLabelValues(o.String())
		if o.tried() {
			m.tries[o] = tries.WithLabelValues(o.String())
		}
	}
	for _, t := range []struct{ from, to resilience.State }{
		{resilience.Closed, resilience.Open},
		{resilience.Open, resilience.HalfOpen},
		{resilience.HalfOpen, resilience.Open},
		{resilience.HalfOpen, resilience.Closed},
	} {
		m.transitions.WithLabelValues(t.from.String(), t.to.String())
	}
	m.collectors = []prometheus.Collector{
		requests, tries, cache, m.retries, m.retriesDenied, m.inFlight, m.transitions,
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.stateDesc
	for _, c := range m.collectors {
		c.Describe(ch)
	}
}

// Collect implements prometheus.Collector. It reads the breaker's state here, because an
// open breaker becomes half-open by the clock, without a transition.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	now := m.state()
	for _, s := range resilience.States {
		value := 0.0
		if s == now {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(m.stateDesc, prometheus.GaugeValue, value, s.String())
	}
	for _, c := range m.collectors {
		c.Collect(ch)
	}
}
