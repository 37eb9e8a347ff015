package ratelimit

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// BenchmarkAllow counts a request and renders its header, once allowed and once limited.
func BenchmarkAllow(b *testing.B) {
	for name, limit := range map[string]Limit{
		"allowed": {Requests: maxRequests, Period: time.Second, Burst: maxRequests},
		"limited": {Requests: 1, Period: time.Hour, Burst: 1},
	} {
		b.Run(name, func(b *testing.B) {
			p, err := NewPolicies(PolicyConfig{ReadLimit: limit, LimitReplicas: 1}, "service", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, p.Close()) })
			b.ReportAllocs()
			for b.Loop() {
				_ = p.Read.State(p.Read.Allow(b.Context(), "ada"))
			}
		})
	}
}
