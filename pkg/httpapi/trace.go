package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/example/microservices/pkg/requestid"
	"github.com/example/microservices/pkg/telemetry"
)

const tracerName = "github.com/example/microservices/pkg/httpapi"

// untraced is startSpan where no traces are kept.
func untraced(*gin.Context, string, string, time.Time) func(int) bool { return notKept }

func notKept(int) bool { return false }

// tracing is what spans are made with, looked up once.
type tracing struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

func newTracing() tracing { return tracing{otel.Tracer(tracerName), otel.GetTextMapPropagator()} }

// startSpan begins a request's span, as a part of the client's trace if it says
// which (https://www.w3.org/TR/trace-context/), and returns what ends it, given the
// answer's status, and reports whether it is kept. The span has what OpenTelemetry's conventions for HTTP want to be
// there (https://opentelemetry.io/docs/specs/semconv/http/http-spans/), but nothing
// that a client can fill in: no path, no query, no address. Probes and scrapes have
// none.
func (t tracing) startSpan(g *gin.Context, method, route string, start time.Time) func(int) bool {
	if strings.HasPrefix(route, "/health") || route == metricsPath {
		return notKept
	}
	ctx := t.propagator.Extract(g.Request.Context(), propagation.HeaderCarrier(g.Request.Header))
	remote := trace.SpanContextFromContext(ctx)
	if remote.TraceState().Len() > 0 { // free text of the client's
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote.WithTraceState(trace.TraceState{}))
	}
	options := []trace.SpanStartOption{trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindServer)}
	name := method + " " + route
	ctx, span := t.tracer.Start(ctx, name, options...)
	g.Request = g.Request.WithContext(ctx)
	return func(status int) bool {
		failed := status >= http.StatusInternalServerError
		// What was shed is too much already.
		if failed && !span.SpanContext().IsSampled() && !g.GetBool(shedKey) {
			_, span = t.tracer.Start(telemetry.Keep(ctx), name, options...)
		}
		if span.IsRecording() {
			attributes := []attribute.KeyValue{
				semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRoute(route), semconv.HTTPResponseStatusCode(status),
				attribute.String("request.id", requestid.From(ctx)),
			}
			if failed {
				attributes = append(attributes, semconv.ErrorTypeKey.Int(status))
				span.SetStatus(codes.Error, "")
			}
			span.SetAttributes(attributes...)
		}
		span.End()
		return span.SpanContext().IsSampled()
	}
}
