package telemetry

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// eyes writes short lines for developers: of a request the method, path, status,
// duration, and the reason of a rejection.
type eyes struct {
	mu    *sync.Mutex
	w     io.Writer
	level slog.Level
	color bool
	group string // with a dot at its end
	attrs []slog.Attr
}

// ForEyes reports whether a handler writes lines for developers only, which nobody
// stores. They may contain more of a request than its route.
func ForEyes(h slog.Handler) bool {
	r, ok := h.(requestHandler)
	if !ok {
		return false
	}
	_, ok = r.Handler.(*eyes)
	return ok
}

// machines are fields that link lines to each other. They are omitted below the level
// WARN.
var machines = []string{"request_id", "trace_id", "span_id"}

func (h *eyes) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *eyes) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		a.Key = h.group + a.Key
		attrs = append(attrs, a)
		return true
	})
	var b strings.Builder
	begin := r.Time.Format(time.TimeOnly)
	if r.Level != slog.LevelInfo {
		begin += " " + r.Level.String()
	}
	b.WriteString(h.paint(r.Level, begin))
	if r.Message == "request" {
		attrs = writeRequest(&b, attrs)
	} else {
		b.WriteString(" " + r.Message)
	}
	stack := ""
	for _, a := range attrs {
		value := a.Value.Resolve().String()
		switch {
		case r.Level < slog.LevelWarn && slices.Contains(machines, a.Key):
		case a.Key == "stack":
			stack = "\n" + value
		default:
			b.WriteString(" " + a.Key + "=" + quoted(value, " \"="))
		}
	}
	b.WriteString(stack + "\n")
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, b.String())
	return err
}

// writeRequest writes the line of a request, and returns the other fields.
func writeRequest(b *strings.Builder, attrs []slog.Attr) (others []slog.Attr) {
	fields := map[string]slog.Value{}
	for _, a := range attrs {
		switch a.Key {
		case "method", "route", "path", "status", "duration_us", "reason":
			fields[a.Key] = a.Value
		case "bytes":
		default:
			others = append(others, a)
		}
	}
	place, has := fields["path"]
	if !has {
		place = fields["route"]
	}
	took, unit := time.Microsecond, time.Microsecond
	if v, has := fields["duration_us"]; has {
		took *= time.Duration(v.Int64())
	}
	for took > 100*unit { // two or three digits are enough
		unit *= 10
	}
	for _, word := range []string{fields["method"].String(), place.String(), fields["status"].String(), took.Round(unit).String()} {
		b.WriteString(" " + quoted(word, " "))
	}
	if reason, has := fields["reason"]; has {
		b.WriteString(" " + quoted(reason.String(), ""))
	}
	return others
}

// quoted quotes a text that could be misread, or that has terminal control sequences.
func quoted(s, special string) string {
	if s == "" || strings.ContainsAny(s, special) || strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func (h *eyes) paint(l slog.Level, s string) string {
	code := "32" // green
	switch {
	case !h.color:
		return s
	case l >= slog.LevelError:
		code = "31" // red
	case l >= slog.LevelWarn:
		code = "33" // yellow
	case l < slog.LevelInfo:
		code = "90" // grey
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (h *eyes) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		a.Key = h.group + a.Key
		with.attrs = append(with.attrs, a)
	}
	return &with
}

func (h *eyes) WithGroup(name string) slog.Handler {
	with := *h
	with.group += name + "."
	return &with
}
