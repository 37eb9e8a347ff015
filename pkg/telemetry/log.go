// Package telemetry provides the logger, the metrics registry and the tracing of a
// service.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"

	"github.com/example/microservices/pkg/requestid"
)

// LogConfig configures the log.
type LogConfig struct {
	Level  string `envconfig:"LOG_LEVEL" default:"info" oneof:"debug,info,warn,error" desc:"minimum level of log lines"`
	Format string `envconfig:"LOG_FORMAT" default:"auto" oneof:"auto,json,text,color" desc:"format of a log line: json, or text for developers; color is text with coloured levels; auto is color on a terminal, otherwise json"`
}

// NewLogger returns a logger that writes to w. Each JSON line has the service and its
// version. A line logged with a request's context has the ids of the request, the trace
// and the span.
func NewLogger(w io.Writer, c LogConfig, service, version string) *slog.Logger {
	var level slog.Level
	err := level.UnmarshalText([]byte(c.Level))
	if err != nil {
		level = slog.LevelInfo
	}
	format := c.Format
	switch {
	case format == "json" || format == "text" || format == "color":
	case !isTerminal(w):
		format = "json"
	case os.Getenv("NO_COLOR") != "":
		format = "text"
	default:
		format = "color"
	}
	if format != "json" {
		return slog.New(requestHandler{&eyes{mu: new(sync.Mutex), w: w, level: level, color: format == "color"}})
	}
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}).WithAttrs([]slog.Attr{slog.String("service", service), slog.String("version", version)})
	return slog.New(requestHandler{handler})
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// requestHandler adds the ids in the context.
type requestHandler struct{ slog.Handler }

func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	var more [3]slog.Attr // added at once, so that the record grows only once
	n := 0
	if id := requestid.From(ctx); id != "" {
		more[n] = slog.String("request_id", id)
		n++
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		more[n], more[n+1] = slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String())
		n += 2
	}
	r.AddAttrs(more[:n]...)
	return h.Handler.Handle(ctx, r)
}

func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}
