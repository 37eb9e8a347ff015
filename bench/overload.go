package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

const (
	// openConnections is how many clients there are at most. Each is a connection
	// that may have one request under way.
	openConnections = 512
	// normalShare is the part of the peak at which a service is not loaded fully.
	normalShare = 0.7
	// tooMuch is how many times the peak is asked for.
	tooMuch = 2
	// probeInterval is how often the probes are asked meanwhile.
	probeInterval = 50 * time.Millisecond
	// probeTimeout is that of a probe in a cluster.
	probeTimeout = time.Second
)

// benchOverload asks for twice what user-service can carry, with the limit on what
// is under way and without it.
func benchOverload(ctx context.Context, l *lab) (_ section, err error) {
	g := &group{l: l}
	defer func() { err = errors.Join(err, g.stop()) }()
	sides := []*overloaded{{name: "with the limit"}, {name: "without", env: []string{"CONCURRENCY_LIMIT=0"}}}
	for _, s := range sides {
		s.server, err = g.users(ctx, onSQLite, s.env...)
		if err != nil {
			return section{}, err
		}
		path, err := createUser(ctx, s.server.Address)
		if err != nil {
			return section{}, err
		}
		s.request = load.Get(path)
	}
	peak, err := sides[0].peak(ctx, l.size.span)
	if err != nil {
		return section{}, err
	}
	for _, s := range sides {
		err := s.measure(ctx, peak, l.size)
		if err != nil {
			return section{}, err
		}
	}
	return overloadSection(l.size, peak, sides), nil
}

// overloaded is a server, and what came of asking too much of it.
type overloaded struct {
	name    string
	env     []string
	server  *server.Server
	request []byte

	normal, over load.OpenResult
	memory       server.Memory
	probes       probes
}

func (s *overloaded) run(ctx context.Context, rate float64, span time.Duration) (load.OpenResult, error) {
	return load.RunOpen(ctx, load.OpenPlan{
		Address: s.server.Address, Connections: openConnections, Rate: rate, For: span,
		Append: func(b []byte) []byte { return append(b, s.request...) },
	})
}

// peak returns the most answers a second that can be had. It asks for more and
// more, until what comes back is clearly less.
func (s *overloaded) peak(ctx context.Context, span time.Duration) (float64, error) {
	const step, enough = 1.15, 0.9
	closed, err := load.Run(ctx, load.Plan{
		Address: s.server.Address, Connections: connections, For: span, Status: http.StatusOK,
		Append: func(b []byte, _ int) []byte { return append(b, s.request...) },
	})
	if err != nil {
		return 0, err
	}
	best, short := 0.0, 0
	for rate := closed.PerSecond() / 2; ; rate *= step {
		r, err := s.run(ctx, rate, span)
		if err != nil {
			return 0, err
		}
		good := r.Answered(http.StatusOK)
		best = max(best, good)
		if good >= enough*rate {
			short = 0
			continue
		}
		short++
		if short > 1 { // once may be something else on the machine
			return best, nil
		}
	}
}

func (s *overloaded) measure(ctx context.Context, peak float64, size size) error {
	var err error
	s.normal, err = s.run(ctx, peak*normalShare, 4*size.span)
	if err != nil {
		return err
	}
	probing, stop := context.WithCancel(ctx)
	done := make(chan probes)
	go func() { done <- probe(probing, s.server.Address) }()
	s.over, err = s.run(ctx, peak*tooMuch, size.overload)
	stop()
	s.probes = <-done
	if err != nil {
		return err
	}
	s.memory, err = server.ReadMemory(s.server.PID)
	return err
}

// probes is what came of asking the probes, and the metrics, for a while.
type probes struct {
	asked, failed int
	slowest       time.Duration
}

func probe(ctx context.Context, address string) probes {
	client := &http.Client{Transport: &http.Transport{}, Timeout: probeTimeout}
	defer client.CloseIdleConnections()
	var p probes
	for n := 0; ; n++ {
		path := []string{"/health/live", "/health/ready", "/metrics"}[n%3]
		began := time.Now()
		_, err := fetchWith(context.WithoutCancel(ctx), client, "http://"+address+path)
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

func overloadSection(size size, peak float64, sides []*overloaded) section {
	var b strings.Builder
	fmt.Fprintf(&b, "GET one user on SQLite, sent at a fixed rate over up to %d connections, however fast the answers come. "+
		"The peak is %.0f answers a second; %d times that is asked for during %s. A latency counts from when a request is due.\n\n"+
		"| | p99 at %.0f %% of the peak | answered at %d × the peak | ÷ peak | p50, p99 of these | refused | p99 of these | not sent: no connection free | peak memory | probes: asked, failed, slowest |\n|---|---|---|---|---|---|---|---|---|---|\n",
		openConnections, peak, tooMuch, size.overload, normalShare*100, tooMuch)
	const ok, refused = http.StatusOK, http.StatusServiceUnavailable
	for _, s := range sides {
		fmt.Fprintf(&b, "| %s | %s | %.0f/s | %.2f | %s, %s | %.0f/s | %s | %d | %.1f MiB | %d, %d, %s |\n", s.name,
			latency(s.normal, ok, 99), s.over.Answered(ok), s.over.Answered(ok)/peak, latency(s.over, ok, 50), latency(s.over, ok, 99),
			s.over.Answered(refused), latency(s.over, refused, 99), s.over.Unsent, mib(s.memory.Peak),
			s.probes.asked, s.probes.failed, s.probes.slowest.Round(time.Millisecond/10))
	}
	s := sides[0]
	slower := s.over.Percentile(ok, 99).Seconds() / max(s.normal.Percentile(ok, 99), time.Microsecond).Seconds()
	return section{
		title: "Twice what it can carry",
		findings: []finding{
			atLeast(fmt.Sprintf("Answers at %d × the peak ÷ those at the peak", tooMuch), spreadOf([]float64{s.over.Answered(ok) / peak}), 0.8),
			atMost(fmt.Sprintf("p99 of them ÷ p99 at %.0f %% of the peak", normalShare*100), "%.1f", spreadOf([]float64{slower}), 3),
			atMost("Probes that failed meanwhile", "%.0f", spreadOf([]float64{float64(s.probes.failed)}), 0),
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
