package idempotency_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/idempotency"
)

// kept is a Store for one record.
type kept struct{ *idempotency.Record }

func (k *kept) Recorded(context.Context, idempotency.Key, time.Time) (idempotency.Record, error) {
	if k.Record == nil {
		return idempotency.Record{}, idempotency.ErrNotFound
	}
	return *k.Record, nil
}

func (*kept) Purge(context.Context, time.Time, int) (int, error) { return 0, nil }

func Example() {
	ctx, store := context.Background(), &kept{}
	once := idempotency.NewOnce(store, time.Hour, prometheus.NewRegistry())
	for range 2 {
		claim, err := once.Claim(ctx, idempotency.Key{Caller: "ada", Value: "k"}, []byte("body"))
		if err != nil {
			panic(err)
		}
		if !claim.Replayed() {
			answer := idempotency.Answer{Status: http.StatusCreated, Body: []byte("made")}
			store.Record = claim.Record(answer) // in the transaction of the effect
			err = claim.Resolve(ctx, answer, nil)
			if err != nil {
				panic(err)
			}
		}
		fmt.Println(string(claim.Answer().Body), claim.Replayed())
		claim.Release()
	}
	// Output:
	// made false
	// made true
}
