package telemetry

import (
	"context"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// asked starts a span in a trace of a caller with the flags, and reports whether it is
// sampled. The trace id is low, so that every ratio would sample it.
func asked(t *testing.T, tracer trace.Tracer, n uint64, flags trace.TraceFlags) bool {
	t.Helper()
	var id trace.TraceID
	binary.BigEndian.PutUint64(id[:8], n+1)
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: flags, Remote: true})
	ctx, span := tracer.Start(trace.ContextWithRemoteSpanContext(t.Context(), parent), "request")
	defer span.End()
	require.Equal(t, id, span.SpanContext().TraceID(), "the trace id stays the same, sampled or not")
	_, inner := tracer.Start(ctx, "query")
	defer inner.End()
	require.Equal(t, span.SpanContext().IsSampled(), inner.SpanContext().IsSampled(), "all spans of a trace are sampled, or none")
	return span.SpanContext().IsSampled()
}

func newTracer(t *testing.T, ratio float64, parents int) trace.Tracer {
	t.Helper()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(newSampler(ratio, parents)), sdktrace.WithIDGenerator(ids{}))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	return provider.Tracer("test")
}

// TestTheSamplingOfCallersIsLimited: anybody can send a traceparent with the sampled flag, and
// an id that any ratio would sample.
func TestTheSamplingOfCallersIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer := newTracer(t, 0.01, 100)
		flood := func(n int) (kept int) {
			for i := range n {
				if asked(t, tracer, uint64(i), trace.FlagsSampled) {
					kept++
				}
			}
			return kept
		}
		require.Equal(t, 50, flood(50), "within the limit, a caller's sampled traces are kept")
		time.Sleep(time.Second)
		kept := flood(10_000)
		require.GreaterOrEqual(t, kept, 100)
		require.Less(t, kept, 100+300, "above the limit, the ratio applies")
		time.Sleep(500 * time.Millisecond)
		kept = flood(10_000)
		require.GreaterOrEqual(t, kept, 50)
		require.Less(t, kept, 50+300)
		time.Sleep(time.Hour)
		require.Less(t, flood(10_000), 100+300, "an unused limit does not accumulate")
	})
}

func TestARatioOfOneSamplesEveryTrace(t *testing.T) {
	tracer := newTracer(t, 1, 0)
	for i := range 1000 {
		require.True(t, asked(t, tracer, uint64(i), trace.FlagsSampled))
	}
}

func TestTheSamplingOfCallersCanBeIgnored(t *testing.T) {
	tracer := newTracer(t, 0, 0)
	for i := range 1000 {
		require.False(t, asked(t, tracer, uint64(i), trace.FlagsSampled))
	}
}

func TestUnsampledTracesOfCallersAreNotSampled(t *testing.T) {
	tracer := newTracer(t, 1, 100)
	require.False(t, asked(t, tracer, 0, 0))
	ctx := Keep(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	_, span := tracer.Start(ctx, "failure")
	defer span.End()
	require.True(t, span.SpanContext().IsSampled(), "failed requests are kept anyway")
}
