package idempotency

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests struct{ fresh, replayed, conflict, failed prometheus.Counter }
}

func newMetrics(registerer prometheus.Registerer) metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "idempotency_requests_total",
		Help: "Requests with an Idempotency-Key, by result: new (the first with its key), replayed (got the recorded response), conflict (the first is in progress, had another body, or created a resource that was deleted), failed (no success, so nothing was recorded).",
	}, []string{"result"})
	registerer.MustRegister(requests)
	var m metrics
	m.requests.fresh, m.requests.replayed = requests.WithLabelValues("new"), requests.WithLabelValues("replayed")
	m.requests.conflict, m.requests.failed = requests.WithLabelValues("conflict"), requests.WithLabelValues("failed")
	return m
}

// count counts a request with a key.
func (m *metrics) count(c *Claim) {
	switch {
	case c.answered && c.replayed:
		m.requests.replayed.Inc()
	case c.answered:
		m.requests.fresh.Inc()
	case errors.Is(c.err, ErrInFlight), errors.Is(c.err, ErrMismatch), errors.Is(c.err, ErrGone):
		m.requests.conflict.Inc()
	default:
		m.requests.failed.Inc()
	}
}
