package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/telemetry"
)

type metrics struct {
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_server_request_duration_seconds",
			Help:    "Time to answer a request, but for the wait for its body, by route template and status code.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			// Native buckets, too, for who scrapes them: 10 % apart.
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"method", "route", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_server_requests_in_flight",
			Help: "Requests that are being answered.",
		}),
	}
	r.MustRegister(m.duration, m.inFlight)
	return m
}

// expect makes the series of an operation that count for its objectives, at zero: a
// rate over one that appears with its first failures misses these.
func (m *metrics) expect(method, route string, success int) {
	for _, status := range []int{success, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		m.duration.WithLabelValues(method, route, strconv.Itoa(status))
	}
}

// record counts a request. If its span is kept, the trace's id goes along as an
// exemplar.
func (m *metrics) record(ctx context.Context, method, route string, status int, took time.Duration, kept bool) {
	observer := m.duration.WithLabelValues(method, route, strconv.Itoa(status))
	exemplars, ok := observer.(prometheus.ExemplarObserver)
	if ok && kept {
		exemplars.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": telemetry.TraceID(ctx)})
		return
	}
	observer.Observe(took.Seconds())
}
