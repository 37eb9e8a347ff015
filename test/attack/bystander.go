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

// Bystander is another caller of the service, and whoever asks its probes.
type Bystander struct {
	// Address is the service's, Admin that of its probes, Token the caller's, and Path
	// what it asks for.
	Address, Admin, Token, Path string
}

// Fared is how it fared.
type Fared struct {
	// Latencies are those of answered requests, shortest first.
	Latencies []time.Duration
	// Statuses counts the answers; 0 is a request that wasn't answered in time.
	Statuses map[int]int
	// Errors says why requests had no answer.
	Errors []string
	// Probes counts the probes, and Failed those that weren't answered 200 in a second.
	Probes, Failed int
}

// Percentile returns the latency that p % of the requests did not exceed.
func (f Fared) Percentile(p float64) time.Duration {
	if len(f.Latencies) == 0 {
		return 0
	}
	return f.Latencies[min(len(f.Latencies)-1, int(float64(len(f.Latencies))*p/100))]
}

// Requests is how many there were.
func (f Fared) Requests() int {
	n := 0
	for _, count := range f.Statuses {
		n += count
	}
	return n
}

const (
	// requestEvery and probeEvery are the time between two requests and two probes.
	requestEvery, probeEvery = 20 * time.Millisecond, 200 * time.Millisecond
	// patience is how long the bystander waits for an answer, and probeTimeout a probe.
	patience, probeTimeout = 5 * time.Second, time.Second
)

// Watch sends requests and probes until ctx is done. The next request doesn't wait for
// the last; every third is on a connection of its own, as a client's that comes anew.
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
	prober := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
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

// every calls do again and again until ctx is done, each in a goroutine of its own.
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

// statusOf returns the status of a GET whose answer was read whole; 0 with an error.
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
