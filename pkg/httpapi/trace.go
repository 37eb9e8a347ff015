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

// untraced replaces startSpan if tracing is off.
func untraced(ctx context.Context, _ string, _ http.Header, _, _ string, _ time.Time) (context.Context, endSpan) {
	return ctx, notKept
}

// endSpan ends a request's span with the answer's status, and reports whether the span is
// kept. shed: the request was rejected because of overload.
type endSpan func(status int, shed bool) bool

func notKept(int, bool) bool { return false }

// tracing has the tracer and the propagator, which are looked up once.
type tracing struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

func newTracing() tracing { return tracing{otel.Tracer(tracerName), otel.GetTextMapPropagator()} }

var serverSpan = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}

// startSpan starts a request's span and returns its context and the function that ends
// it. It continues the client's trace, if the request has one
// (https://www.w3.org/TR/trace-context/). The span has the required attributes of
// OpenTelemetry's HTTP conventions
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/), but nothing that a
// client can fill in: no path, query or address. Probes and scrapes have no span.
func (t tracing) startSpan(ctx context.Context, id string, header http.Header, method, route string, start time.Time) (context.Context, endSpan) {
	if strings.HasPrefix(route, "/health") || route == metricsPath {
		return ctx, notKept
	}
	if header["Traceparent"] != nil {
		ctx = t.propagator.Extract(ctx, propagation.HeaderCarrier(header))
		remote := trace.SpanContextFromContext(ctx)
		if remote.TraceState().Len() > 0 { // free text from the client
			ctx = trace.ContextWithRemoteSpanContext(ctx, remote.WithTraceState(trace.TraceState{}))
		}
	}
	name := method + " " + route
	caller := ctx
	ctx, span := t.tracer.Start(ctx, name, serverSpan...)
	return ctx, func(status int, shed bool) bool {
		failed := status >= http.StatusInternalServerError
		// Record failures even if they weren't sampled, but not shed requests: these would
		// add load.
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
