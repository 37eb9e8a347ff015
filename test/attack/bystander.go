package attack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Bystander is another caller of the service, who also sends probes.
type Bystander struct {
	// Address is the service's, Admin that of its probes. Token is the caller's, and Path
	// what it requests.
	Address, Admin, Token, Path string
	// ProbeTimeout limits the time of a probe.
	ProbeTimeout time.Duration
}

// Fared is the result of a Bystander's requests.
type Fared struct {
	// Latencies are those of answered requests, sorted.
	Latencies []time.Duration
	// Statuses counts the answers by status. 0 is a request without an answer in time.
	Statuses map[int]int
	// Errors are those of requests without an answer.
	Errors []string
	// Probes counts the probes, and Failed those without a 200 within ProbeTimeout.
	Probes, Failed int
}

// Percentile returns the p-th percentile of the latencies.
func (f Fared) Percentile(p float64) time.Duration {
	if len(f.Latencies) == 0 {
		return 0
	}
	return f.Latencies[min(len(f.Latencies)-1, int(float64(len(f.Latencies))*p/100))]
}

// Requests returns the number of requests.
func (f Fared) Requests() int {
	n := 0
	for _, count := range f.Statuses {
		n += count
	}
	return n
}

const (
	// requestEvery and probeEvery are the intervals of requests and probes.
	requestEvery, probeEvery = 20 * time.Millisecond, 200 * time.Millisecond
	// patience is the timeout of a request.
	patience = 5 * time.Second
)

// Watch sends requests and probes until ctx is done. A request doesn't wait for the one
// before. Every third opens a connection, like a new client.
func (b Bystander) Watch(ctx context.Context) Fared {
	kept := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	fresh := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	defer kept.CloseIdleConnections()
	var mu sync.Mutex
	var wg sync.WaitGroup
	fared := Fared{Statuses: map[int]int{}}
	every(ctx, &wg, requestEvery, func(i int) {
		client := kept
		if i%3 == 0 {
			client = fresh
		}
		began := time.Now()
		status, err := statusOf(client, "http://"+b.Address+b.Path, b.Token)
		took := time.Since(began)
		mu.Lock()
		defer mu.Unlock()
		fared.Statuses[status]++
		if err != nil {
			fared.Errors = append(fared.Errors, fmt.Sprintf("after %s, new connection %t: %v", took, client == fresh, err))
			return
		}
		fared.Latencies = append(fared.Latencies, took)
	})
	prober := &http.Client{Timeout: b.ProbeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	every(ctx, &wg, probeEvery, func(i int) {
		status, _ := statusOf(prober, "http://"+b.Admin+[]string{"/health/live", "/health/ready"}[i%2], "")
		mu.Lock()
		defer mu.Unlock()
		fared.Probes++
		if status != http.StatusOK {
			fared.Failed++
		}
	})
	wg.Wait()
	slices.Sort(fared.Latencies)
	return fared
}

// every calls do at an interval until ctx is done, each in its own goroutine.
func every(ctx context.Context, wg *sync.WaitGroup, interval time.Duration, do func(i int)) {
	wg.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				wg.Go(func() { do(i) })
			}
		}
	})
}

// statusOf returns the status of a GET, after reading the whole answer; 0 with an error.
func statusOf(client *http.Client, url, token string) (int, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, nil
}
