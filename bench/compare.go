package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

// meter reads the CPU time that a process has used so far.
type meter struct {
	name string
	read func() (time.Duration, error)
}

func cpuOf(name string, s *server.Server) meter {
	return meter{name, func() (time.Duration, error) { return server.CPU(s.PID) }}
}

// client is the name of the meter of this program, whose time is not compared.
const client = "client"

var clientCPU = meter{client, func() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}}

// sample is one measurement of one side.
type sample struct {
	load.Result
	// rate is the requests per second.
	rate float64
	// cpu is the CPU time per request by meter, and cost the sum without the client's, in
	// microseconds.
	cpu  []float64
	cost float64
}

// side is one side of a comparison.
type side struct {
	name   string
	meters []meter
	// prepare, if any, is called before each measurement.
	prepare func(context.Context) error
	// run puts load on the side.
	run func(context.Context) (load.Result, error)
}

// next appends the next request of a connection.
type next = func(buffer []byte, connection int) []byte

// plan returns a plan that sends a server as many requests as it can answer.
func (l *lab) plan(s *server.Server, status int, requests next) load.Plan {
	return load.Plan{Address: s.Address, Connections: connections, For: l.size.span, Status: status, Append: requests}
}

// ask returns the side of a server that answers requests. Its CPU time includes that of its
// database and of more.
func (g *group) ask(name string, s *server.Server, status int, requests next, more ...meter) side {
	return g.carry(name, s, g.plan(s, status, requests), more...)
}

func (g *group) carry(name string, s *server.Server, p load.Plan, more ...meter) side {
	meters := append([]meter{cpuOf("service", s)}, more...)
	if database, ok := g.databases[s]; ok {
		meters = append(meters, database)
	}
	return side{name: name, meters: append(meters, clientCPU), run: func(ctx context.Context) (load.Result, error) { return load.Run(ctx, p) }}
}

func (s side) measure(ctx context.Context) (sample, error) {
	if s.prepare != nil {
		err := s.prepare(ctx)
		if err != nil {
			return sample{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	before, err := s.read()
	if err != nil {
		return sample{}, err
	}
	r, err := s.run(ctx)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", s.name, err)
	}
	after, err := s.read()
	if err != nil {
		return sample{}, err
	}
	out := sample{Result: r, rate: r.PerSecond(), cpu: make([]float64, len(s.meters))}
	for i, m := range s.meters {
		out.cpu[i] = float64(after[i]-before[i]) / float64(time.Microsecond) / float64(r.Requests)
		if m.name != client {
			out.cost += out.cpu[i]
		}
	}
	return out, nil
}

func (s side) read() ([]time.Duration, error) {
	used := make([]time.Duration, len(s.meters))
	for i, m := range s.meters {
		var err error
		used[i], err = m.read()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return used, nil
}

// alternate measures the sides one after the other in several rounds, and returns the samples
// by side and round. Each round begins with another side, so that other load on the machine
// affects all sides alike.
func (g *group) alternate(ctx context.Context, rounds int, sides []side) [][]sample {
	samples := make([][]sample, len(sides))
	for round := range rounds + 1 {
		g.calibrate(1)
		for i := range sides {
			if g.err != nil {
				return make([][]sample, len(sides))
			}
			i := (i + round) % len(sides)
			s, err := sides[i].measure(ctx)
			g.failed(err)
			if round > 0 { // the first one warms up
				samples[i] = append(samples[i], s)
			}
		}
	}
	return samples
}

// calibrate repeats a fixed piece of work on all processors, and records its durations, which
// are equal on an idle machine.
func (l *lab) calibrate(times int) {
	for range times {
		began := time.Now()
		var all sync.WaitGroup
		for range runtime.NumCPU() {
			all.Go(func() {
				block := make([]byte, 64<<10)
				for range 1024 {
					block[0] = sha256.Sum256(block)[0]
				}
			})
		}
		all.Wait()
		l.calibrations = append(l.calibrations, time.Since(began).Seconds()*1000)
	}
}

// quartiles are the quartiles, the minimum and the maximum of a figure over several rounds.
type quartiles struct{ least, low, median, high, most float64 }

func quartilesOf(values []float64) quartiles {
	if len(values) == 0 {
		return quartiles{}
	}
	sorted := slices.Sorted(slices.Values(values))
	at := func(share float64) float64 { // interpolates between the two nearest values
		place := share * float64(len(sorted)-1)
		i := int(place)
		next := sorted[min(i+1, len(sorted)-1)]
		return sorted[i] + (place-float64(i))*(next-sorted[i])
	}
	return quartiles{at(0), at(0.25), at(0.5), at(0.75), at(1)}
}

// each returns a figure of the samples.
func each(samples []sample, figure func(sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	return values
}

// pairs returns a figure of the samples of two sides, round by round.
func pairs(a, b []sample, figure func(a, b sample) float64) []float64 {
	values := make([]float64, min(len(a), len(b)))
	for i := range values {
		values[i] = figure(a[i], b[i])
	}
	return values
}

// over returns the figure a ÷ b of the throughputs, and the inverse of the CPU times per
// request, so that more is better in both.
func over(what string, a, b []sample, t *target) figure {
	return figure{
		what: what, form: "%.2f", target: t,
		values: pairs(a, b, func(a, b sample) float64 { return a.rate / b.rate }),
		cpu:    pairs(a, b, func(a, b sample) float64 { return b.cost / a.cost }),
	}
}

func rate(s sample) float64 { return s.rate }

func percentile(p float64) func(sample) float64 {
	return func(s sample) float64 { return float64(s.Percentile(p).Nanoseconds()) / 1000 }
}

// table returns the figures of each side in Markdown.
func table(sides []side, samples [][]sample) string {
	var b strings.Builder
	b.WriteString("| | requests/s | CPU per request | p50 | p99 |\n|---|---|---|---|---|\n")
	for i, s := range sides {
		r := quartilesOf(each(samples[i], rate))
		var costs []string
		for m, meter := range s.meters {
			costs = append(costs, fmt.Sprintf("%s %.0f µs", meter.name, quartilesOf(each(samples[i], func(s sample) float64 { return s.cpu[m] })).median))
		}
		fmt.Fprintf(&b, "| %s | %.0f (%.0f–%.0f) | %s | %s | %s |\n", s.name, r.median, r.low, r.high, strings.Join(costs, ", "),
			micros(quartilesOf(each(samples[i], percentile(50))).median), micros(quartilesOf(each(samples[i], percentile(99))).median))
	}
	return b.String()
}

// micros formats a time in microseconds.
func micros(n float64) string {
	switch {
	case n == 0:
		return "–"
	case n >= 1000:
		return fmt.Sprintf("%.2f ms", n/1000)
	}
	return fmt.Sprintf("%.0f µs", n)
}
