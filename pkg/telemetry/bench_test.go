package telemetry

import (
	"context"
	"io"
	"log/slog"
	"testing"
)

// BenchmarkLogLine writes the log line of a request.
func BenchmarkLogLine(b *testing.B) {
	log := NewLogger(io.Discard, LogConfig{Level: "info", Format: "json"}, "service", "1.0.0")
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		log.LogAttrs(ctx, slog.LevelInfo, "request",
			slog.String("method", "GET"), slog.String("route", "/api/v1/users/:user_id"), slog.Int("status", 200), slog.Int64("duration_us", 120), slog.Int("bytes", 206))
	}
}
