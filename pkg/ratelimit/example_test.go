package ratelimit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/example/microservices/pkg/ratelimit"
)

func Example() {
	limiter, err := ratelimit.NewLocal(ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 2}, 100)
	for range 3 {
		fmt.Print(limiter.Allow(context.Background(), "ada").Allowed, " ")
	}
	fmt.Println(err)
	// Output: true true false <nil>
}
