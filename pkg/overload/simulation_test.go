package overload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// server simulates a service in the bubble's time: it has some workers, each request
// takes about service, and others wait.
type server struct {
	gates   *Gates
	workers chan struct{}
	service time.Duration
}

// peak is the capacity in requests per second.
func (s *server) peak() float64 { return float64(cap(s.workers)) / s.service.Seconds() }

func (s *server) answer(took time.Duration) bool {
	slot, ok := s.gates.Enter(context.Background(), true, false)
	if !ok {
		return false
	}
	s.workers <- struct{}{}
	time.Sleep(took)
	<-s.workers
	slot.Done()
	return true
}

// outcome is the result of a load: answers per second ÷ peak, the share that was
// rejected, and the latencies of the others, shortest first.
type outcome struct {
	goodput, refused float64
	latencies        []time.Duration
}

func (o outcome) p99() time.Duration { return o.latencies[len(o.latencies)*99/100] }

// offer sends load times the peak, as if from many clients: the times between requests
// and the durations are random.
func (s *server) offer(rng *rand.Rand, load float64, span time.Duration) outcome {
	type result struct {
		latency time.Duration
		ok      bool
	}
	results := make(chan result, int(s.peak()*load*span.Seconds()*2))
	begin := time.Now()
	sent := 0
	for at := time.Duration(0); at < span; sent++ {
		time.Sleep(time.Until(begin.Add(at)))
		at += time.Duration(rng.ExpFloat64() / (s.peak() * load) * float64(time.Second))
		took := time.Duration((0.5 + 0.5*rng.ExpFloat64()) * float64(s.service))
		go func() {
			began := time.Now()
			ok := s.answer(took)
			results <- result{time.Since(began), ok}
		}()
	}
	o := outcome{}
	for range sent {
		r := <-results
		if r.ok {
			o.latencies = append(o.latencies, r.latency)
		}
	}
	slices.Sort(o.latencies)
	o.goodput = float64(len(o.latencies)) / time.Since(begin).Seconds() / s.peak()
	o.refused = 1 - float64(len(o.latencies))/float64(sent)
	return o
}

// TestTwiceTheLoad: at twice its capacity, a service still answers at its capacity, and
// the requests it admits don't wait long. At a normal load, even one that starts
// suddenly, nothing is rejected.
func TestTwiceTheLoad(t *testing.T) {
	limits := Limits{20, 500} // the default
	for _, c := range []struct {
		service time.Duration
		workers int
	}{{200 * time.Microsecond, 2}, {time.Millisecond, 2}, {10 * time.Millisecond, 8}, {50 * time.Millisecond, 100}} {
		t.Run(fmt.Sprintf("%d at once, %s each", c.workers, c.service), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &server{gates: withoutQueue(New(limits, prometheus.NewRegistry())), workers: make(chan struct{}, c.workers), service: c.service}
				rng := rand.New(rand.NewPCG(1, 2))
				require.Zero(t, s.offer(rng, 0.1, 5*time.Second).refused)
				normal := s.offer(rng, 0.7, 5*time.Second)
				require.Less(t, normal.refused, 0.01, "a sudden load must not cause rejections")
				require.Zero(t, s.offer(rng, 0.7, 5*time.Second).refused)

				// The limit falls in steps. Each step needs a number of requests.
				settling := time.Duration(25_000 / s.peak() * float64(time.Second))
				first := s.offer(rng, 2, settling)
				require.Greater(t, first.goodput, 0.9)
				require.Less(t, first.refused, 0.6)
				settled := s.offer(rng, 2, 5*time.Second)
				require.Greater(t, settled.goodput, 0.9)
				t.Logf("p99 %s; at twice the load %s at first, then %s", normal.p99(), first.p99(), settled.p99())
				// As many requests wait as the limit admits. In the end that is its minimum, or
				// what a server with many workers needs to be busy.
				queue := time.Duration(float64(c.service) * float64(limits.Min) / float64(c.workers))
				require.Less(t, settled.p99(), 3*max(normal.p99(), queue))

				s.offer(rng, 0.1, time.Second)
				require.Less(t, s.offer(rng, 0.9, 5*time.Second).refused, 0.002, "it recovers by itself")
			})
		})
	}
}

// TestASuddenBurstIsNoOverload: many clients that come at once are no overload.
func TestASuddenBurstIsNoOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{gates: withoutQueue(New(Limits{20, 500}, prometheus.NewRegistry())), workers: make(chan struct{}, 2), service: time.Millisecond}
		rng := rand.New(rand.NewPCG(1, 2))
		for range 5 {
			answers := make(chan bool)
			for range headroom {
				go func() { answers <- s.answer(s.service) }()
			}
			for range headroom {
				require.True(t, <-answers)
			}
			require.Zero(t, s.offer(rng, 0.1, 5*time.Second).refused)
		}
	})
}
