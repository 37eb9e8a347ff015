package userclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

const tracerName = "github.com/example/microservices/services/order-service/internal/userclient"

// startSpan starts the client span of an attempt
// (https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client).
func startSpan(ctx context.Context, to *url.URL) (context.Context, trace.Span) {
	const route = "/api/v1/users/:user_id"
	return otel.Tracer(tracerName).Start(ctx, http.MethodGet+" "+route, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodGet, semconv.URLTemplate(route), semconv.ServerAddress(to.Hostname()), semconv.ServerPort(portOf(to)),
	))
}

// portOf returns a URL's port, or its scheme's default.
func portOf(to *url.URL) int {
	port, err := strconv.Atoi(to.Port())
	switch {
	case err == nil:
		return port
	case to.Scheme == "https":
		return 443
	}
	return 80
}

// endSpan ends the span with the attempt's result. An unknown user is not an error.
func endSpan(span trace.Span, err error) {
	o := outcomeOf(err)
	if o != found && o != unknown {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String(o.String()))
	}
	span.End()
}
