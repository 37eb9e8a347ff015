package userclient

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/resilience"
)

func BenchmarkVerify(b *testing.B) {
	b.Run("cached", func(b *testing.B) {
		u := &upstream{answer: found200}
		cfg := u.config()
		cfg.CacheTTL = time.Hour
		c := newClient(b, cfg)
		id := uuid.New()
		require.NoError(b, c.Verify(b.Context(), id))
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				err := c.Verify(b.Context(), id)
				if err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("breaker open", func(b *testing.B) {
		u := &upstream{answer: broken500}
		cfg := u.config()
		cfg.BreakerMinimum, cfg.BreakerOpen = 1, time.Hour
		c := newClient(b, cfg)
		id := uuid.New()
		require.Error(b, c.Verify(b.Context(), id))
		require.Equal(b, resilience.Open, c.breaker.State())
		b.ReportAllocs()
		for b.Loop() {
			err := c.Verify(b.Context(), id)
			if err == nil {
				b.Fatal("verified, although the breaker is open")
			}
		}
	})
	b.Run("uncached over loopback", func(b *testing.B) {
		server := newServer(b, knowsEveryone)
		cfg := patient(server.URL)
		cfg.CacheTTL = 0
		c := newClient(b, cfg)
		id := uuid.New()
		b.ReportAllocs()
		for b.Loop() {
			err := c.Verify(b.Context(), id)
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
