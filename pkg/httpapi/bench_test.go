package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/telemetry"
)

// BenchmarkRequest measures a request up to its handler, with increasing logging and
// tracing.
func BenchmarkRequest(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer collector.Close()
	for _, told := range []struct {
		name, level string
		traces      telemetry.TraceConfig
	}{
		{name: "nothing", level: "error"},
		{name: "logs", level: "info"},
		{name: "logs and 1 % of the traces", level: "info", traces: telemetry.TraceConfig{TraceEndpoint: collector.URL, TraceRatio: 0.01}},
		{name: "logs and all traces", level: "info", traces: telemetry.TraceConfig{TraceEndpoint: collector.URL, TraceRatio: 1}},
	} {
		b.Run(told.name, func(b *testing.B) {
			file, err := os.Create(filepath.Join(b.TempDir(), "log"))
			require.NoError(b, err)
			defer file.Close()
			output := telemetry.NewOutput(file)
			defer output.Flush(time.Minute)
			log := telemetry.NewLogger(output, telemetry.LogConfig{Level: told.level, Format: "json"}, "service", "1.0.0")
			told.traces.TraceQueue, told.traces.TraceBatch, told.traces.TraceDelay, told.traces.TraceTimeout = 2048, 512, 5000, 30000
			stop, err := telemetry.StartTracing(b.Context(), told.traces, log, prometheus.NewRegistry(), "service", "1.0.0")
			require.NoError(b, err)
			defer stop(context.WithoutCancel(b.Context()))
			a := New(Config{Log: log, Metrics: prometheus.NewRegistry(), Auth: auth.Open()})
			Register(a, huma.Operation{OperationID: "get", Method: http.MethodGet, Path: "/things/{id}"}, Needs("x"),
				func(context.Context, *struct {
					ID string `path:"id"`
				}) (Nothing, error) {
					return Nothing{}, nil
				})
			handler := a.Handler()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					answer := httptest.NewRecorder()
					handler.ServeHTTP(answer, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/things/1", nil))
					if answer.Code != http.StatusNoContent {
						b.Fatal(answer.Code)
					}
				}
			})
		})
	}
}

// BenchmarkRecord counts a request in the metrics.
func BenchmarkRecord(b *testing.B) {
	m := newMetrics(prometheus.NewRegistry())
	b.ReportAllocs()
	for b.Loop() {
		m.of(http.MethodGet, "/things/:id").record(b.Context(), http.StatusOK, time.Millisecond, false)
	}
}

// BenchmarkInput measures a request from its first byte to the handler, with parameters
// of all kinds, and with a body.
func BenchmarkInput(b *testing.B) {
	a := New(Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.Open()})
	Register(a, huma.Operation{OperationID: "get", Method: http.MethodGet, Path: "/things/{id}"}, Needs("x"), func(context.Context, *struct {
		ID ID `path:"id"`
		Conditions
		PageParams
		CreatedParams
	}) (Nothing, error) {
		return Nothing{}, nil
	})
	type thing struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
	}
	Register(a, huma.Operation{OperationID: "post", Method: http.MethodPost, Path: "/things"}, Needs("x"), func(context.Context, *struct {
		Body Body[thing]
	}) (Nothing, error) {
		return Nothing{}, nil
	})
	handler := a.Handler()
	for name, c := range map[string]struct{ method, path, body string }{
		"an id":      {http.MethodGet, "/things/01920000-0000-7000-8000-000000000001", ""},
		"parameters": {http.MethodGet, "/things/01920000-0000-7000-8000-000000000001?limit=10&created_after=2026-01-02T03:04:05Z", ""},
		"a body":     {http.MethodPost, "/things", `{"name":"lamp","size":3}`},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request := httptest.NewRequestWithContext(b.Context(), c.method, c.path, strings.NewReader(c.body))
				request.Header.Set("Content-Type", "application/json")
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, request)
				if answer.Code != http.StatusNoContent {
					b.Fatal(answer.Code, answer.Body)
				}
			}
		})
	}
}
