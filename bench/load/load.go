// Package load sends requests to an HTTP/1.1 server on this machine, each
// connection one after the other, as fast as it answers.
//
// It is made to cost little: on a machine that it shares with the server, what
// the client takes is missing there, and makes a slow server look like a fast
// one. So it is one loop over epoll and prepared bytes, as in wrk; net/http's
// client costs more than the servers that are measured.
package load

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Plan says what is sent.
type Plan struct {
	// Address is the server's, such as 127.0.0.1:8000.
	Address string
	// Connections is how many requests are under way at any time.
	Connections int
	// For is how long new requests are sent. Each connection sends one at
	// least, and all answers are waited for.
	For time.Duration
	// Status is what every answer must have.
	Status int
	// Append appends the next request of a connection to buffer.
	Append func(buffer []byte, connection int) []byte
}

// Result is what came of it.
type Result struct {
	Requests int
	// Elapsed is from the first request to the last answer.
	Elapsed time.Duration
	// Latencies are the times between a request and the end of its answer,
	// shortest first.
	Latencies []time.Duration
}

// PerSecond is the throughput.
func (r Result) PerSecond() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// Percentile returns the latency that p % of the requests did not exceed.
func (r Result) Percentile(p float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	i := int(float64(len(r.Latencies)) * p / 100)
	return r.Latencies[min(i, len(r.Latencies)-1)]
}

// Run sends what the plan says. An answer with another status is an error, as
// is a server that is silent for long.
func Run(ctx context.Context, p Plan) (Result, error) {
	if p.Connections < 1 {
		return Result{}, fmt.Errorf("%d connections", p.Connections)
	}
	r, err := run(ctx, p)
	if err != nil {
		return Result{}, fmt.Errorf("load on %s: %w", p.Address, err)
	}
	slices.Sort(r.Latencies)
	return r, nil
}

// Get returns the request for a path, with further headers ("Name: value").
func Get(path string, headers ...string) []byte {
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: localhost"}, headers...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// AppendPost appends the request that posts a JSON body to a path, with further headers
// ("Name: value").
func AppendPost(buffer []byte, path string, body []byte, headers ...string) []byte {
	buffer = fmt.Appendf(buffer, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, len(body))
	for _, header := range headers {
		buffer = append(append(buffer, header...), "\r\n"...)
	}
	return append(append(buffer, "\r\n"...), body...)
}
