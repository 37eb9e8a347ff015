package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

const (
	// openConnections is the maximum number of clients. Each is a connection with at most one
	// request in flight.
	openConnections = 512
	// normalShare is the share of the peak that counts as a normal load.
	normalShare = 0.7
	// tooMuch is the overload as a multiple of the peak.
	tooMuch = 2
	// probeInterval is the interval of the probes meanwhile.
	probeInterval = 200 * time.Millisecond
	// probeTimeout is the timeout of a probe in a cluster.
	probeTimeout = time.Second
)

// With two processors, the service and the client have one each, so that the service's capacity
// doesn't depend on the client's CPU time.
const serviceProcessor, clientProcessor = 0, 1

func onOwn(processor int, f func() error) error {
	if runtime.NumCPU() == 1 {
		return f()
	}
	return server.OnProcessor(processor, f)
}

// pageOrders is the number of orders, and of orders per page.
const pageOrders = 100

// benchOverload sends order-service twice the requests that it can answer, with the concurrency
// limit and without it: for pages of a list, and for single orders, which cost hardly more than
// a rejection.
func benchOverload(ctx context.Context, g *group) section {
	limited := startFilled(ctx, g)
	unlimited := startFilled(ctx, g, "CONCURRENCY_LIMIT=0")
	page := load.Get(fmt.Sprintf("%s?limit=%d", ordersPath, pageOrders))
	one := load.Get(ordersPath + "/" + rowID(1))
	sides := []*overloaded{
		{name: "pages, with the limit", server: limited, request: page, span: g.size.overload, rounds: g.size.overloads},
		{name: "pages, without", server: unlimited, request: page, span: g.size.overload / 4, rounds: 1},
		{name: "single orders, with the limit", server: limited, request: one, span: g.size.overload / 4, rounds: 1},
		{name: "single orders, without", server: unlimited, request: one, span: g.size.overload / 4, rounds: 1},
	}
	for _, s := range sides {
		for range s.rounds {
			if g.err != nil {
				return section{}
			}
			r, err := s.round(ctx, g.size.span)
			g.failed(err)
			s.results = append(s.results, r)
		}
	}
	return overloadSection(g.size, sides)
}

// startFilled starts an order-service with some orders, on its own processor.
func startFilled(ctx context.Context, g *group, env ...string) (s *server.Server) {
	env = append(append(env, withoutUsers...), "DATABASE_URL="+g.filled(ctx, onSQLite, "orders", pageOrders))
	g.failed(onOwn(serviceProcessor, func() error {
		s = g.start(ctx, g.programs.orders, env...)
		return nil
	}))
	return s
}

// overloaded is a server, its load, and the results of overloading it.
type overloaded struct {
	name    string
	server  *server.Server
	request []byte
	// span is the duration of the overload in a round.
	span    time.Duration
	rounds  int
	results []overloadResult
}

// overloadResult is the result of a round.
type overloadResult struct {
	// peak is the capacity in answers per second.
	peak         float64
	normal, over load.OpenResult
	memory       server.Memory
	probes       probes
}

// goodput is the answers per second during the overload ÷ those at the peak.
func (r overloadResult) goodput() float64 { return r.over.Answered(http.StatusOK) / r.peak }

// slower is the p99 of the answers during the overload ÷ that at a normal load.
func (r overloadResult) slower() float64 {
	const ok = http.StatusOK
	return r.over.Percentile(ok, 99).Seconds() / max(r.normal.Percentile(ok, 99), time.Microsecond).Seconds()
}

func (s *overloaded) run(ctx context.Context, rate float64, span time.Duration) (r load.OpenResult, err error) {
	err = onOwn(clientProcessor, func() error {
		r, err = load.RunOpen(ctx, load.OpenPlan{
			Address: s.server.Address, Connections: openConnections, Rate: rate, Warm: span / 4, For: span,
			Append: func(b []byte) []byte { return append(b, s.request...) },
		})
		return err
	})
	return r, err
}

// saturate returns the answers per second for clients that send the next request after each
// answer.
func (s *overloaded) saturate(ctx context.Context, span time.Duration) (float64, error) {
	var r load.Result
	err := onOwn(clientProcessor, func() (err error) {
		r, err = load.Run(ctx, load.Plan{
			Address: s.server.Address, Connections: connections / 2, For: span, Status: http.StatusOK,
			Append: func(b []byte, _ int) []byte { return append(b, s.request...) },
		})
		return err
	})
	return r.PerSecond(), err
}

const (
	// carried is the share of the requests that must be answered at the peak.
	carried = 0.99
	// tries is how often a load must fail to count as too high, because other load on the
	// machine lowers its capacity for a while. A peak that is rather too high makes the goodput
	// look worse, and the latencies better.
	tries = 2
	// lessLoad is the next load to try ÷ one that was too high.
	lessLoad = 0.95
)

// peak returns the highest rate at which nearly every request is answered: the capacity.
func (s *overloaded) peak(ctx context.Context, span time.Duration) (float64, error) {
	rate := 0.0
	for range tries {
		answered, err := s.saturate(ctx, span)
		if err != nil {
			return 0, err
		}
		rate = max(rate, answered)
	}
	for ; ; rate *= lessLoad {
		for range tries {
			r, err := s.run(ctx, rate, span)
			if err != nil {
				return 0, err
			}
			if float64(len(r.Latencies[http.StatusOK])) >= carried*float64(r.Due) {
				return r.Answered(http.StatusOK), nil
			}
		}
	}
}

// round finds the peak, and measures a normal load, an overload, and a normal load again.
func (s *overloaded) round(ctx context.Context, span time.Duration) (r overloadResult, err error) {
	r.peak, err = s.peak(ctx, 2*span)
	if err != nil {
		return r, err
	}
	r.normal, err = s.run(ctx, r.peak*normalShare, 4*span)
	if err != nil {
		return r, err
	}
	probing, stop := context.WithCancel(ctx)
	done := make(chan probes)
	go func() { done <- probe(probing, s.server.Address) }()
	r.over, err = s.run(ctx, r.peak*tooMuch, s.span)
	stop()
	r.probes = <-done
	if err != nil {
		return r, err
	}
	r.memory, err = server.ReadMemory(s.server.PID)
	err = errors.Join(err, wait(ctx, span)) // until the service has recovered
	if err != nil {
		return r, err
	}
	// Once more, because other load on the machine may have changed.
	after, err := s.run(ctx, r.peak*normalShare, 4*span)
	for status, latencies := range after.Latencies {
		r.normal.Latencies[status] = append(r.normal.Latencies[status], latencies...)
		slices.Sort(r.normal.Latencies[status])
	}
	return r, err
}

// probes is the results of probes and scrapes of the metrics.
type probes struct {
	asked, failed int
	slowest       time.Duration
}

func probe(ctx context.Context, address string) probes {
	var p probes
	for n := 0; ; n++ {
		path := []string{"/health/live", "/health/ready", "/metrics"}[n%3]
		began := time.Now()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
		_, _, err := send(limited, http.MethodGet, "http://"+address+path, nil, http.StatusOK)
		cancel()
		p.asked++
		if err != nil {
			p.failed++
		}
		p.slowest = max(p.slowest, time.Since(began))
		if wait(ctx, probeInterval) != nil {
			return p
		}
	}
}

func overloadSection(size size, sides []*overloaded) section {
	var b strings.Builder
	fmt.Fprintf(&b, "order-service on SQLite and the client have one processor each. Requests are sent at random moments at a given rate, over up to %d connections, independent of the answers: %d times the peak, during %s for pages of %d with the limit, %s for the rest. The peak is the highest rate at which %.0f %% are answered, in one of two tries. The load of 70 %% is measured before and after. A latency counts from the moment that a request is due.\n\n"+
		"| | peak | p99 at %.0f %% of the peak | completed at %d × the peak | ÷ peak | their p50, p99 | rejected | p99 of rejections | not sent: no free connection | peak memory | probes: sent, failed, slowest |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
		openConnections, tooMuch, size.overload, pageOrders, size.overload/4, carried*100, normalShare*100, tooMuch)
	const ok, refused = http.StatusOK, http.StatusServiceUnavailable
	for _, s := range sides {
		for _, r := range s.results {
			fmt.Fprintf(&b, "| %s | %.0f/s | %s | %.0f/s | %.2f | %s, %s | %.0f/s | %s | %d | %.1f MiB | %d, %d, %s |\n", s.name, r.peak,
				latency(r.normal, ok, 99), r.over.Answered(ok), r.goodput(), latency(r.over, ok, 50), latency(r.over, ok, 99),
				r.over.Answered(refused), latency(r.over, refused, 99), r.over.Unsent, mib(r.memory.Peak),
				r.probes.asked, r.probes.failed, r.probes.slowest.Round(time.Millisecond/10))
		}
	}
	var goodput, slower, failed []float64
	for _, r := range sides[0].results {
		goodput, slower, failed = append(goodput, r.goodput()), append(slower, r.slower()), append(failed, float64(r.probes.failed))
	}
	return section{
		title: "Twice the peak load",
		figures: []figure{
			{what: fmt.Sprintf("Completed list requests at %d × the peak load ÷ at the peak", tooMuch), form: "%.2f", values: goodput, target: atLeast(0.9, 1)},
			{what: fmt.Sprintf("p99 at %d × the peak load ÷ p99 at %.0f %% of the peak", tooMuch, normalShare*100), form: "%.1f", values: slower, target: atMost(2, 1.5)},
			{what: fmt.Sprintf("Failed probes at %d × the peak load", tooMuch), form: "%.0f", values: failed, target: atMost(0, 0)},
		},
		body: b.String(),
	}
}

func latency(r load.OpenResult, status int, p float64) string {
	if len(r.Latencies[status]) == 0 {
		return "–"
	}
	return micros(float64(r.Percentile(status, p).Microseconds()))
}
