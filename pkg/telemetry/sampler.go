package telemetry

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// sampler samples the spans given to Keep, a share of the traces that begin here, and the
// traces that a caller sampled (https://www.w3.org/TR/trace-context/#sampled-flag).
// Anybody can set that flag, so parentSampler limits these.
type sampler struct{ sdktrace.Sampler }

func newSampler(ratio float64, parents int) sampler {
	bounded := &parentSampler{ratio: ratio, limit: float64(parents), left: float64(parents)}
	return sampler{sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio), sdktrace.WithRemoteParentSampled(bounded))}
}

// ShouldSample implements sdktrace.Sampler.
func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if p.ParentContext.Value(keepKey{}) != nil {
		return keep(p)
	}
	return s.Sampler.ShouldSample(p)
}

func keep(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

// parentSampler samples up to limit traces per second because the caller sampled them,
// and a share, ratio, of the rest. That share is random, and not derived from the trace
// id, which the caller chooses.
type parentSampler struct {
	ratio, limit float64

	mu   sync.Mutex
	left float64
	last time.Time
}

// ShouldSample implements sdktrace.Sampler.
func (s *parentSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if s.take(time.Now()) || rand.Float64() < s.ratio { //nolint:gosec // nobody gains by guessing it
		return keep(p)
	}
	return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

// take takes one from the limit, and reports whether it could.
func (s *parentSampler) take(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = min(s.limit, s.left+max(0, now.Sub(s.last).Seconds())*s.limit)
	s.last = now
	if s.left < 1 {
		return false
	}
	s.left--
	return true
}

// Description implements sdktrace.Sampler.
func (s *parentSampler) Description() string {
	return fmt.Sprintf("ParentSampler{%g a second, then %g}", s.limit, s.ratio)
}
