package telemetry

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// sampler keeps the traces that Keep names, a part of those that begin here, and
// those that a caller keeps (https://www.w3.org/TR/trace-context/#sampled-flag), which
// anybody may say: as many a second as parentSampler allows.
type sampler struct{ sdktrace.Sampler }

func newSampler(ratio float64, parents int) sampler {
	bounded := &parentSampler{ratio: ratio, limit: float64(parents), left: float64(parents)}
	return sampler{sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio), sdktrace.WithRemoteParentSampled(bounded))}
}

// ShouldSample is part of sdktrace.Sampler.
func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if p.ParentContext.Value(keepKey{}) != nil {
		return keep(p)
	}
	return s.Sampler.ShouldSample(p)
}

func keep(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

// parentSampler keeps up to limit traces a second because a caller does, and ratio of
// the rest. Which of the rest is left to chance: the trace's id, which decides
// elsewhere, is the caller's to choose.
type parentSampler struct {
	ratio, limit float64

	mu   sync.Mutex
	left float64
	last time.Time
}

// ShouldSample is part of sdktrace.Sampler.
func (s *parentSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if s.take(time.Now()) || rand.Float64() < s.ratio { //nolint:gosec // nobody gains by guessing it
		return keep(p)
	}
	return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

// take reports whether there is room for one more, which it then takes.
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

// Description is part of sdktrace.Sampler.
func (s *parentSampler) Description() string {
	return fmt.Sprintf("ParentSampler{%g a second, then %g}", s.limit, s.ratio)
}
