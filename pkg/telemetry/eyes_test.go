package telemetry_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/requestid"
	"github.com/example/microservices/pkg/telemetry"
)

func TestTheTextLogIsForPeople(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 1, 0, time.UTC)
	request := []any{"method", "POST", "route", "/api/v1/orders", "status", 201, "duration_us", int64(45_123), "bytes", 300}
	for name, row := range map[string]struct {
		format  string
		level   slog.Level
		message string
		args    []any
		line    string
	}{
		"a request":             {"text", slog.LevelInfo, "request", request, "12:00:01 POST /api/v1/orders 201 45ms\n"},
		"a path and a reason":   {"text", slog.LevelInfo, "request", append([]any{"path", "/api/v1/order", "reason", "validation failed"}, request...), "12:00:01 POST /api/v1/order 201 45ms validation failed\n"},
		"a failure":             {"text", slog.LevelWarn, "request", request, "12:00:01 WARN POST /api/v1/orders 201 45ms request_id=id\n"},
		"what isn't a request":  {"text", slog.LevelInfo, "starting", []any{"address", "127.0.0.1:8000", "what", "two words"}, "12:00:01 starting address=127.0.0.1:8000 what=\"two words\"\n"},
		"an error":              {"text", slog.LevelError, "failed", []any{"error", errors.New("gone")}, "12:00:01 ERROR failed error=gone request_id=id\n"},
		"a terminal's commands": {"text", slog.LevelInfo, "request", append([]any{"reason", "body.\x1b[2J"}, request...), "12:00:01 POST /api/v1/orders 201 45ms \"body.\\x1b[2J\"\n"},
		"a stack":               {"text", slog.LevelError, "panic", []any{"stack", "goroutine 1\n\tmain.go:1\n"}, "12:00:01 ERROR panic request_id=id\ngoroutine 1\n\tmain.go:1\n\n"},
		"in colours":            {"color", slog.LevelInfo, "request", request, "\x1b[32m12:00:01\x1b[0m POST /api/v1/orders 201 45ms\n"},
		"an error in colours":   {"color", slog.LevelError, "failed", nil, "\x1b[31m12:00:01 ERROR\x1b[0m failed request_id=id\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var written strings.Builder
			log := telemetry.NewLogger(&written, telemetry.LogConfig{Level: "info", Format: row.format}, "a-service", "v1")
			require.True(t, telemetry.ForEyes(log.Handler()))
			r := slog.NewRecord(noon, row.level, row.message, 0)
			r.Add(row.args...)
			require.NoError(t, log.Handler().Handle(requestid.With(t.Context(), "id"), r))
			require.Equal(t, row.line, written.String())
		})
	}
}

func TestTheJSONLogIsForPrograms(t *testing.T) {
	var written strings.Builder
	for _, format := range []string{"auto", "json"} {
		log := telemetry.NewLogger(&written, telemetry.LogConfig{Level: "info", Format: format}, "a-service", "v1")
		require.False(t, telemetry.ForEyes(log.Handler()), "a pipe gets the log for programs")
	}
}
