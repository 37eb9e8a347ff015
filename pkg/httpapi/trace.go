package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/example/microservices/pkg/telemetry"
)

const tracerName = "github.com/example/microservices/pkg/httpapi"

// untraced is startSpan where no traces are kept.
func untraced(ctx context.Context, _ string, _ http.Header, _, _ string, _ time.Time) (context.Context, endSpan) {
	return ctx, notKept
}

// endSpan ends a request's span, given the answer's status and whether the request
// was shed, and reports whether the span is kept.
type endSpan func(status int, shed bool) bool

func notKept(int, bool) bool { return false }

// tracing is what spans are made with, looked up once.
type tracing struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

func newTracing() tracing { return tracing{otel.Tracer(tracerName), otel.GetTextMapPropagator()} }

var serverSpan = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}

// startSpan begins a request's span, as a part of the client's trace if it says
// which (https://www.w3.org/TR/trace-context/), and returns its context and what
// ends it. The span has what OpenTelemetry's conventions for HTTP want to be there
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/), but nothing that
// a client can fill in: no path, no query, no address. Probes and scrapes have
// none.
func (t tracing) startSpan(ctx context.Context, id string, header http.Header, method, route string, start time.Time) (context.Context, endSpan) {
	if strings.HasPrefix(route, "/health") || route == metricsPath {
		return ctx, notKept
	}
	if header["Traceparent"] != nil {
		ctx = t.propagator.Extract(ctx, propagation.HeaderCarrier(header))
		remote := trace.SpanContextFromContext(ctx)
		if remote.TraceState().Len() > 0 { // free text of the client's
			ctx = trace.ContextWithRemoteSpanContext(ctx, remote.WithTraceState(trace.TraceState{}))
		}
	}
	name := method + " " + route
	caller := ctx
	ctx, span := t.tracer.Start(ctx, name, serverSpan...)
	return ctx, func(status int, shed bool) bool {
		failed := status >= http.StatusInternalServerError
		// What was shed is too much already.
		if failed && !span.SpanContext().IsSampled() && !shed {
			_, span = t.tracer.Start(telemetry.Keep(caller, span.SpanContext()), name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(start))
		}
		if !span.SpanContext().IsSampled() {
			return false
		}
		attributes := []attribute.KeyValue{
			semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRoute(route), semconv.HTTPResponseStatusCode(status),
			attribute.String("request.id", id),
		}
		if failed {
			attributes = append(attributes, semconv.ErrorTypeKey.Int(status))
			span.SetStatus(codes.Error, "")
		}
		span.SetAttributes(attributes...)
		span.End()
		return true
	}
}
