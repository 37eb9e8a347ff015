package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/telemetry"
)

// BenchmarkRequest is a request through all that stands before an operation, with
// more and more that is told of it.
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
