package telemetry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/net/http/httpguts"
)

// TraceConfig configures tracing. The variables are OpenTelemetry's
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/),
// except TRACE_PARENT_LIMIT.
type TraceConfig struct {
	TraceEndpoint    string  `envconfig:"OTEL_EXPORTER_OTLP_ENDPOINT" desc:"OTLP over HTTP endpoint for traces, such as http://collector:4318; empty: no traces"`
	TraceURL         string  `envconfig:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" desc:"full URL for traces, such as http://collector:4318/v1/traces; overrides OTEL_EXPORTER_OTLP_ENDPOINT"`
	TraceHeaders     string  `envconfig:"OTEL_EXPORTER_OTLP_HEADERS" desc:"headers of each export, such as a credential: name=value,name=value"`
	TraceOwnHeaders  string  `envconfig:"OTEL_EXPORTER_OTLP_TRACES_HEADERS" desc:"headers for traces; overrides OTEL_EXPORTER_OTLP_HEADERS"`
	TraceProtocol    string  `envconfig:"OTEL_EXPORTER_OTLP_PROTOCOL" default:"http/protobuf" desc:"export protocol: http/protobuf"`
	TraceOwnProtocol string  `envconfig:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" desc:"export protocol for traces; overrides OTEL_EXPORTER_OTLP_PROTOCOL"`
	TraceSampler     string  `envconfig:"OTEL_TRACES_SAMPLER" default:"parentbased_traceidratio" desc:"sampler: parentbased_traceidratio"`
	TraceExporter    string  `envconfig:"OTEL_TRACES_EXPORTER" default:"otlp" desc:"exporter: otlp, or none to turn traces off"`
	TracesOff        bool    `envconfig:"OTEL_SDK_DISABLED" default:"false" desc:"the same as OTEL_TRACES_EXPORTER=none"`
	TraceRatio       float64 `envconfig:"OTEL_TRACES_SAMPLER_ARG" default:"1" min:"0" max:"1" desc:"share of the traces started here that is sampled; an unsampled request that fails (5xx) still leaves one span"`
	TraceParents     int     `envconfig:"TRACE_PARENT_LIMIT" default:"100" min:"0" max:"1000000" desc:"traces per second that are sampled because the caller sampled them; above that OTEL_TRACES_SAMPLER_ARG decides"`

	TraceQueue   int `envconfig:"OTEL_BSP_MAX_QUEUE_SIZE" default:"2048" min:"1" max:"1000000" desc:"maximum number of spans queued for export"`
	TraceBatch   int `envconfig:"OTEL_BSP_MAX_EXPORT_BATCH_SIZE" default:"512" min:"1" max:"1000000" desc:"maximum number of spans per export"`
	TraceDelay   int `envconfig:"OTEL_BSP_SCHEDULE_DELAY" default:"5000" min:"1" max:"3600000" desc:"time after which a smaller batch is exported, in milliseconds"`
	TraceTimeout int `envconfig:"OTEL_BSP_EXPORT_TIMEOUT" default:"30000" min:"1" max:"3600000" desc:"timeout of an export with its retry, in milliseconds"`
}

// url returns the URL to export to; "" means no tracing.
func (c *TraceConfig) url() string {
	switch {
	case c.TracesOff || c.TraceExporter == "none":
		return ""
	case c.TraceURL != "":
		return c.TraceURL
	case c.TraceEndpoint != "":
		return strings.TrimSuffix(c.TraceEndpoint, "/") + "/v1/traces"
	}
	return ""
}

// Validate returns everything that is wrong with the configuration.
func (c *TraceConfig) Validate() error {
	if c.url() == "" {
		return nil // ignore the rest: it may be set for a whole cluster
	}
	var problems []error
	if c.TraceExporter != "" && c.TraceExporter != "otlp" {
		problems = append(problems, errors.New("OTEL_TRACES_EXPORTER must be otlp or none"))
	}
	variable, protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", c.TraceOwnProtocol, "OTEL_EXPORTER_OTLP_PROTOCOL", c.TraceProtocol)
	if protocol != "" && protocol != "http/protobuf" {
		problems = append(problems, errors.New(variable+" must be http/protobuf"))
	}
	if c.TraceSampler != "" && c.TraceSampler != "parentbased_traceidratio" {
		problems = append(problems, errors.New("OTEL_TRACES_SAMPLER must be parentbased_traceidratio; OTEL_TRACES_SAMPLER_ARG=0 keeps none, 1 all"))
	}
	u, err := url.Parse(c.url())
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		variable, _ := first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.TraceURL, "OTEL_EXPORTER_OTLP_ENDPOINT", c.TraceEndpoint)
		problems = append(problems, errors.New(variable+" must be a URL such as http://collector:4318"))
	}
	_, err = resource.New(context.Background(), resource.WithFromEnv())
	if err != nil {
		problems = append(problems, errors.New("OTEL_RESOURCE_ATTRIBUTES must be name=value, separated by commas"))
	}
	_, err = c.headers()
	return errors.Join(append(problems, err)...)
}

// first returns a variable and its value: the one for traces if it is set, otherwise the
// one for all signals.
func first(variable, value, general, generalValue string) (name, what string) {
	if value != "" {
		return variable, value
	}
	return general, generalValue
}

// headers parses the headers. Values may be percent-encoded.
func (c *TraceConfig) headers() (map[string]string, error) {
	headers := map[string]string{}
	variable, text := first("OTEL_EXPORTER_OTLP_TRACES_HEADERS", c.TraceOwnHeaders, "OTEL_EXPORTER_OTLP_HEADERS", c.TraceHeaders)
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(decoded) {
			return nil, errors.New(variable + " must be name=value, separated by commas")
		}
		headers[name] = decoded
	}
	return headers, nil
}

// StartTracing enables tracing, if c has an endpoint. stop exports the remaining spans.
// Export never blocks requests: spans that can't be exported are dropped.
func StartTracing(ctx context.Context, c TraceConfig, log *slog.Logger, metrics prometheus.Registerer, service, version string) (stop func(context.Context), err error) {
	counts := newSpanCounts(metrics)
	if c.url() == "" {
		return func(context.Context) {}, nil
	}
	headers, err := c.headers()
	if err != nil {
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, newOTLPClient(c.url(), headers, counts))
	if err != nil {
		return nil, fmt.Errorf("send traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceVersion(version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(counting{sdktrace.NewBatchSpanProcessor(exporter,
			sdktrace.WithMaxQueueSize(c.TraceQueue), sdktrace.WithMaxExportBatchSize(min(c.TraceBatch, c.TraceQueue)),
			sdktrace.WithBatchTimeout(time.Duration(c.TraceDelay)*time.Millisecond), sdktrace.WithExportTimeout(time.Duration(c.TraceTimeout)*time.Millisecond)), counts.ended}),
		sdktrace.WithResource(about),
		sdktrace.WithIDGenerator(ids{}),
		sdktrace.WithSampler(newSampler(c.TraceRatio, c.TraceParents)),
	)
	otel.SetErrorHandler(newOccasional(log))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	otel.SetTracerProvider(provider)
	return func(ctx context.Context) {
		err := provider.Shutdown(ctx)
		if err != nil {
			log.WarnContext(ctx, "the last traces could not be sent", slog.Any("error", err))
		}
	}, nil
}

// Tracing reports whether tracing is enabled.
func Tracing() bool {
	_, on := otel.GetTracerProvider().(*sdktrace.TracerProvider)
	return on
}

// Recording reports whether ctx has a span that is sampled.
func Recording(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// TraceID returns the trace id of ctx, or "".
func TraceID(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	if !span.HasTraceID() {
		return ""
	}
	return span.TraceID().String()
}

// Keep returns a context in which the next span is always sampled. Use it for a failed
// request, whose failure is known only at its end. The new span replaces the unsampled span
// instead, and has the same ids, because the log already names them.
func Keep(ctx context.Context, instead trace.SpanContext) context.Context {
	return context.WithValue(ctx, keepKey{}, instead)
}

type keepKey struct{}

// ids generates span ids, or uses those given to Keep.
type ids struct{}

// NewIDs implements sdktrace.IDGenerator.
func (i ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	instead, kept := ctx.Value(keepKey{}).(trace.SpanContext)
	if kept {
		return instead.TraceID(), instead.SpanID()
	}
	var id trace.TraceID
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // ids need only be different
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // likewise
	}
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	instead, kept := ctx.Value(keepKey{}).(trace.SpanContext)
	if kept {
		return instead.SpanID()
	}
	var id trace.SpanID
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // likewise
	}
	return id
}
