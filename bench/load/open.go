package load

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// OpenPlan says what is sent at a rate of its own, however fast the server
// answers (an open loop): as many clients do who know nothing of each other.
type OpenPlan struct {
	// Address is the server's, such as 127.0.0.1:8000.
	Address string
	// Connections is how many requests may be under way. One that is due while
	// all are busy waits for a connection, and that counts as its latency.
	Connections int
	// Rate is how many requests are due in a second, evenly spread.
	Rate float64
	// For is how long requests become due.
	For time.Duration
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
	r, err := runOpen(ctx, p)
	if err != nil {
		return OpenResult{}, fmt.Errorf("load on %s: %w", p.Address, err)
	}
	for _, latencies := range r.Latencies {
		slices.Sort(latencies)
	}
	return r, nil
}
