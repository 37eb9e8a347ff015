package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
)

// spanCounts count ended, sent and failed spans. OpenTelemetry silently drops spans when
// its queue is full.
type spanCounts struct{ ended, sent, failed prometheus.Counter }

func newSpanCounts(metrics prometheus.Registerer) spanCounts {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trace_spans_total",
		Help: "Spans of sampled traces, by result: ended, sent or failed. A span that ended and is neither sent nor failed is queued, or was dropped because the queue was full.",
	}, []string{"result"})
	metrics.MustRegister(spans)
	return spanCounts{ended: spans.WithLabelValues("ended"), sent: spans.WithLabelValues("sent"), failed: spans.WithLabelValues("failed")}
}

// counting counts ended spans on their way to the exporter.
type counting struct {
	sdktrace.SpanProcessor
	ended prometheus.Counter
}

// OnEnd implements sdktrace.SpanProcessor.
func (c counting) OnEnd(span sdktrace.ReadOnlySpan) {
	if span.SpanContext().IsSampled() {
		c.ended.Inc()
	}
	c.SpanProcessor.OnEnd(span)
}

// sending counts the spans of one export, of which the collector rejected some.
func (c spanCounts) sending(spans []*tracepb.ResourceSpans, rejected int64, err error) {
	var all int64
	for _, resource := range spans {
		for _, scope := range resource.GetScopeSpans() {
			all += int64(len(scope.GetSpans()))
		}
	}
	if err != nil {
		rejected = all
	}
	rejected = min(max(rejected, 0), all)
	c.sent.Add(float64(all - rejected))
	c.failed.Add(float64(rejected))
}

// rejectedSpans returns how many spans the collector rejected, from an
// ExportTraceServiceResponse
// (https://opentelemetry.io/docs/specs/otlp/#partial-success-1). The Go type of the
// message would import gRPC.
func rejectedSpans(answer []byte) int64 {
	const partialSuccess, rejected = 1, 1 // field numbers
	partial, _ := field(answer, partialSuccess, protowire.BytesType)
	_, count := field(partial, rejected, protowire.VarintType)
	return int64(count) //nolint:gosec // it is one: int64
}

// field returns the value of a field of a protobuf message.
func field(message []byte, number protowire.Number, kind protowire.Type) (content []byte, value uint64) {
	for len(message) > 0 {
		n, k, size := protowire.ConsumeTag(message)
		if size < 0 {
			return nil, 0
		}
		message = message[size:]
		size = protowire.ConsumeFieldValue(n, k, message)
		if size < 0 {
			return nil, 0
		}
		if n == number && k == kind {
			if kind == protowire.BytesType {
				content, _ = protowire.ConsumeBytes(message)
			} else {
				value, _ = protowire.ConsumeVarint(message)
			}
		}
		message = message[size:]
	}
	return content, value
}
