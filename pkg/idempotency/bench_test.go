package idempotency

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// empty is a Store without records.
type empty struct{}

func (empty) Recorded(context.Context, Key, time.Time) (Record, error) {
	return Record{}, ErrNotFound
}
func (empty) Purge(context.Context, time.Time, int) (int, error) { return 0, nil }

// BenchmarkClaim claims a key, creates the record and resolves the claim.
func BenchmarkClaim(b *testing.B) {
	once, body := newOnce(empty{}), []byte(`{"name":"Ada Lovelace","email":"ada@example.com","age":36}`)
	for name, value := range map[string]string{"with a key": "k", "without": ""} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				claim, err := once.Claim(b.Context(), Key{Caller: "ada", Value: value}, body)
				if err != nil {
					b.Fatal(err)
				}
				answer := Answer{Status: http.StatusCreated, Body: body}
				_ = claim.Record(answer)
				err = claim.Resolve(b.Context(), answer, nil)
				if err != nil {
					b.Fatal(err)
				}
				claim.Release()
			}
		})
	}
}
