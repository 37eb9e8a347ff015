// Package load sends requests to an HTTP/1.1 server on this machine, each
// connection one after the other, as fast as it answers.
//
// It uses little CPU. On a machine shared with the server, the server lacks the CPU time that
// the client uses, which hides differences between servers. So it is one loop over epoll with
// prepared bytes, like wrk; net/http's client costs more than the measured servers.
package load

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Plan describes the load.
type Plan struct {
	// Address is the server's, such as 127.0.0.1:8000.
	Address string
	// Connections is the number of concurrent requests.
	Connections int
	// For is how long new requests are sent. Each connection sends at least one, and Run waits
	// for all answers.
	For time.Duration
	// Status is what every answer must have.
	Status int
	// Append appends the next request of a connection to buffer.
	Append func(buffer []byte, connection int) []byte
}

// Result is the result of a load.
type Result struct {
	Requests int
	// Elapsed is the time from the first request to the last answer.
	Elapsed time.Duration
	// Latencies are the times from a request to the end of its answer, sorted.
	Latencies []time.Duration
}

// PerSecond returns the throughput.
func (r Result) PerSecond() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// Percentile returns the p-th percentile of the latencies.
func (r Result) Percentile(p float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	i := int(float64(len(r.Latencies)) * p / 100)
	return r.Latencies[min(i, len(r.Latencies)-1)]
}

// Run sends the requests of a plan. An answer with another status is an error, and so is no
// answer for 30 s.
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
	return AppendJSON(buffer, "POST", path, body, headers...)
}

// AppendJSON is AppendPost for any method.
func AppendJSON(buffer []byte, method, path string, body []byte, headers ...string) []byte {
	buffer = fmt.Appendf(buffer, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", method, path, len(body))
	for _, header := range headers {
		buffer = append(append(buffer, header...), "\r\n"...)
	}
	return append(append(buffer, "\r\n"...), body...)
}
