package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// OpenPlan describes a load at a fixed rate, independent of the server's answers (an open
// loop).
type OpenPlan struct {
	// Address is the server's, such as 127.0.0.1:8000.
	Address string
	// Connections is the maximum of concurrent requests. A request that is due while all
	// connections are busy waits for one, which counts as its latency.
	Connections int
	// Rate is the average number of requests per second. The time between two is random
	// (exponential), as with independent clients.
	Rate float64
	// For is the measured duration. Before it, requests are sent during Warm, and don't count.
	Warm, For time.Duration
	// Random generates the times; nil for a fixed sequence.
	Random *rand.Rand
	// Append appends the next request to buffer.
	Append func(buffer []byte) []byte
}

// OpenResult is the result of an open load.
type OpenResult struct {
	// Due is the number of requests that became due, and Unsent how many of these were not sent
	// by the end, because all connections were busy.
	Due, Unsent int
	Elapsed     time.Duration
	// Latencies are the times from the moment that a request is due to the end of its answer,
	// by status, sorted.
	Latencies map[int][]time.Duration
}

// Answered returns the number of answers per second with a status.
func (r OpenResult) Answered(status int) float64 {
	return float64(len(r.Latencies[status])) / r.Elapsed.Seconds()
}

// Percentile returns the p-th percentile of the latencies of answers with a status.
func (r OpenResult) Percentile(status int, p float64) time.Duration {
	return Result{Latencies: r.Latencies[status]}.Percentile(p)
}

// RunOpen sends the requests of a plan, and waits for the answers.
func RunOpen(ctx context.Context, p OpenPlan) (OpenResult, error) {
	if p.Connections < 1 || p.Rate <= 0 {
		return OpenResult{}, fmt.Errorf("%d connections, %g requests a second", p.Connections, p.Rate)
	}
	if p.Random == nil {
		p.Random = rand.New(rand.NewPCG(1, 2))
	}
	r, err := runOpen(ctx, p, due(p))
	if err != nil {
		return OpenResult{}, fmt.Errorf("load on %s: %w", p.Address, err)
	}
	for _, latencies := range r.Latencies {
		slices.Sort(latencies)
	}
	return r, nil
}

// due returns the times of all requests, relative to the beginning.
func due(p OpenPlan) []time.Duration {
	var at []time.Duration
	for next := 0.0; ; next += p.Random.ExpFloat64() / p.Rate {
		when := time.Duration(next * float64(time.Second))
		if when >= p.Warm+p.For {
			return at
		}
		at = append(at, when)
	}
}
