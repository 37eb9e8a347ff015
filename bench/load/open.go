package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// OpenPlan says what is sent at a rate of its own, however fast the server
// answers (an open loop).
type OpenPlan struct {
	// Address is the server's, such as 127.0.0.1:8000.
	Address string
	// Connections is how many requests may be under way. One that is due while
	// all are busy waits for a connection, and that counts as its latency.
	Connections int
	// Rate is how many requests are due in a second on average. The time between
	// two is random (exponential), as with clients who know nothing of each other.
	Rate float64
	// For is how long requests become due, after those of Warm, which are sent as
	// well and don't count.
	Warm, For time.Duration
	// Random makes the times; nil is a fixed sequence.
	Random *rand.Rand
	// Append appends the next request to buffer.
	Append func(buffer []byte) []byte
}

// OpenResult is what came of it.
type OpenResult struct {
	// Due is how many requests became due, Unsent how many of these were not sent
	// by the end because all connections were busy.
	Due, Unsent int
	Elapsed     time.Duration
	// Latencies are by status, shortest first: from the moment that a request is
	// due to the end of its answer.
	Latencies map[int][]time.Duration
}

// Answered returns how many answers a second had a status.
func (r OpenResult) Answered(status int) float64 {
	return float64(len(r.Latencies[status])) / r.Elapsed.Seconds()
}

// Percentile returns the latency that p % of the answers with a status did not
// exceed.
func (r OpenResult) Percentile(status int, p float64) time.Duration {
	return Result{Latencies: r.Latencies[status]}.Percentile(p)
}

// RunOpen sends what the plan says, and waits for the answers to what was sent.
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

// due returns when each request is due, counted from the beginning.
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
