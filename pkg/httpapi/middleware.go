package httpapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/requestid"
	"github.com/example/microservices/pkg/telemetry"
)

// maxRequestID is the maximum length of a request id from a client.
const maxRequestID = 64

// identify returns the request id and sets it on the answer: the client's if it is safe
// to log, otherwise a new one.
func identify(w http.ResponseWriter, r *http.Request) string {
	id := r.Header.Get(requestid.Header)
	if !fitsLog(id) {
		id = uuid.NewString()
	}
	w.Header().Set(requestid.Header, id)
	return id
}

// guard sets the headers that protect each answer: browsers must not guess another content
// type, and caches must not keep it, errors included. Assets allow caches more.
func guard(g *gin.Context) { guardHeader(g.Writer.Header()) }

func guardHeader(h http.Header) {
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noStore
}

var noSniff, noStore = []string{"nosniff"}, []string{"no-store"}

func fitsLog(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return id != "" && len(id) <= maxRequestID
}

// observe gives each request an id and a span, and at its end logs and counts it. All use
// the route template: a raw path contains whatever clients send.
func (a *API) observe(m *metrics) gin.HandlerFunc {
	begin := untraced
	if telemetry.Tracing() {
		begin = newTracing().startSpan
	}
	line := a.log.Handler()
	eyes := telemetry.ForEyes(line)
	return func(g *gin.Context) {
		start := time.Now()
		m.inFlight.Inc()
		route := a.routeOf(g)
		method := knownMethod(g.Request.Method)
		if g.Request.Context().Value(headKey{}) != nil {
			method = http.MethodHead
		}
		x := &exchange{ResponseWriter: g.Writer, g: g, route: route, stopping: a.stopping}
		ctx := &x.ctx
		ctx.x, ctx.id = x, identify(g.Writer, g.Request)
		var end endSpan
		ctx.Context, end = begin(g.Request.Context(), ctx.id, g.Request.Header, method, route, start)
		defer ctx.release()
		g.Request = g.Request.WithContext(ctx) // a copy: net/http keeps its own
		g.Writer = x
		x.watchBody(g.Request)
		answered := false
		defer func() {
			if answered { // not aborted by a panic
				x.drain(g.Request)
			}
		}()
		defer func() {
			m.inFlight.Dec()
			status := x.status()
			took := time.Since(start)
			kept := end(status, x.shed)
			m.of(method, route).record(ctx, status, took-x.waited, kept)
			severity := level(route, status, x.shed)
			if eyes && severity == slog.LevelInfo && isAsset(route) {
				severity = slog.LevelDebug
			}
			if !line.Enabled(ctx, severity) {
				return
			}
			sent := max(0, x.Size())
			if method == http.MethodHead {
				sent = 0
			}
			// A Record is built by hand: the logger would look up the caller's source line for
			// each request.
			r := slog.NewRecord(start.Add(took), severity, "request", 0)
			r.AddAttrs(
				slog.String("method", method),
				slog.String("route", route),
				slog.Int("status", status),
				slog.Int64("duration_us", took.Microseconds()),
				slog.Int("bytes", sent),
			)
			if eyes && x.problem != nil {
				r.AddAttrs(slog.String("path", g.Request.URL.EscapedPath()), slog.String("reason", x.problem.reason()))
			}
			_ = line.Handle(ctx, r) // the logger would ignore the error as well
		}()
		g.Next()
		answered = true
	}
}

// level returns the log level of a request. Probes and scrapes are logged only if they
// fail. Shed requests are hidden, because overload is logged once a second.
func level(route string, status int, shed bool) slog.Level {
	switch {
	case shed, status == http.StatusTooManyRequests: // it is in the metrics
		return slog.LevelDebug
	case status >= http.StatusInternalServerError:
		return slog.LevelWarn
	case isProbe(route) || route == metricsPath:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// isAsset reports whether a route belongs to the documentation.
func isAsset(route string) bool {
	return route == "/docs" || strings.HasPrefix(route, "/docs/") || strings.HasPrefix(route, "/openapi.")
}

func isProbe(route string) bool { return strings.HasPrefix(route, "/health") }

// knownMethod bounds the values of a metric label: a client can send any method.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodHead:
		return method
	}
	return "other"
}

// recoverPanic turns a panic into a 500 and a log line.
func (a *API) recoverPanic(g *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		exchangeOf(g).discard()
		err, ok := cause.(error)
		if ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		a.log.ErrorContext(g.Request.Context(), "panic", slog.String("cause", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
		if !g.Writer.Written() {
			a.write(g, internalError())
		}
		g.Abort()
	}()
	g.Next()
}

// write sends a problem. A client that closed the request gets no answer: only its
// connection is closed.
func (a *API) write(g *gin.Context, p *Problem) {
	x := exchangeOf(g)
	x.problem = p
	if p.Status == statusClientClosedRequest {
		x.cutOff = true
		panic(http.ErrAbortHandler)
	}
	err := p.send(g.Request.Context(), g.Writer)
	if err != nil && g.Request.Context().Err() == nil {
		a.log.WarnContext(g.Request.Context(), "can't write the problem", slog.Any("error", err))
	}
}
