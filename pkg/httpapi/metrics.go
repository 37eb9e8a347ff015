package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/telemetry"
)

type metrics struct {
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	routes   sync.Map // [2]string{method, route} → *series
}

// of returns the series of a method and a route. There are few: method is a known HTTP
// method or "other", and route a template.
func (m *metrics) of(method, route string) *series {
	known, ok := m.routes.Load([2]string{method, route})
	if !ok {
		known, _ = m.routes.LoadOrStore([2]string{method, route}, &series{method: method, route: route, metrics: m})
	}
	found, _ := known.(*series)
	return found
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_server_request_duration_seconds",
			Help:    "Duration of requests, without the wait for the body, by route template and status code.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			// Native histograms as well, for scrapers that support them: buckets 10 % apart.
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"method", "route", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_server_requests_in_flight",
			Help: "Requests in flight.",
		}),
	}
	r.MustRegister(m.duration, m.inFlight)
	return m
}

// series are the metrics of a route. They are looked up once: a lookup takes longer than
// counting.
type series struct {
	method, route string
	metrics       *metrics
	byStatus      sync.Map // int → prometheus.Observer
}

// expect creates the series that the service level objectives use, at zero. A rate over a
// series that first appears with its first failures would miss these failures.
func (s *series) expect(success int) {
	for _, status := range []int{success, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		s.of(status)
	}
}

func (s *series) of(status int) prometheus.Observer {
	known, ok := s.byStatus.Load(status)
	if !ok {
		known, _ = s.byStatus.LoadOrStore(status, s.metrics.duration.WithLabelValues(s.method, s.route, strconv.Itoa(status)))
	}
	observer, _ := known.(prometheus.Observer)
	return observer
}

// record counts a request. If its span is kept, the trace id is added as an exemplar.
func (s *series) record(ctx context.Context, status int, took time.Duration, kept bool) {
	observer := s.of(status)
	exemplars, ok := observer.(prometheus.ExemplarObserver)
	if ok && kept {
		exemplars.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": telemetry.TraceID(ctx)})
		return
	}
	observer.Observe(took.Seconds())
}
