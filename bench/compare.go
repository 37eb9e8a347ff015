package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

// meter reads the processor time that something has used so far.
type meter struct {
	name string
	read func() (time.Duration, error)
}

func cpuOf(name string, s *server.Server) meter {
	return meter{name, func() (time.Duration, error) { return server.CPU(s.PID) }}
}

// sample is one measurement of one side.
type sample struct {
	load.Result
	// rate is the requests per second.
	rate float64
	// cpu is the processor time per request, by meter.
	cpu []time.Duration
}

// side is one of the things that are compared.
type side struct {
	name   string
	meters []meter
	// run puts it under load.
	run func(context.Context) (load.Result, error)
}

// of returns the side that runs a plan.
func of(name string, p load.Plan, meters ...meter) side {
	return side{name, meters, func(ctx context.Context) (load.Result, error) { return load.Run(ctx, p) }}
}

func (s side) measure(ctx context.Context) (sample, error) {
	before := make([]time.Duration, len(s.meters))
	for i, m := range s.meters {
		var err error
		before[i], err = m.read()
		if err != nil {
			return sample{}, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	r, err := s.run(ctx)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", s.name, err)
	}
	out := sample{Result: r, rate: r.PerSecond(), cpu: make([]time.Duration, len(s.meters))}
	for i, m := range s.meters {
		after, err := m.read()
		if err != nil {
			return sample{}, fmt.Errorf("%s: %w", m.name, err)
		}
		out.cpu[i] = (after - before[i]) / time.Duration(r.Requests)
	}
	return out, nil
}

// alternate measures the sides one after the other in several rounds, each
// round beginning with another, and returns the samples by side and round.
// What else happens on the machine meets all of them alike.
func alternate(ctx context.Context, rounds int, sides []side) ([][]sample, error) {
	samples := make([][]sample, len(sides))
	for round := range rounds + 1 {
		for i := range sides {
			i := (i + round) % len(sides)
			s, err := sides[i].measure(ctx)
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first one warms up
				samples[i] = append(samples[i], s)
			}
		}
	}
	return samples, nil
}

// spread is a figure over several rounds.
type spread struct{ low, median, high float64 }

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return spread{}
	}
	return spread{sorted[0], (sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[n-1]}
}

// over returns a figure of the samples.
func over(samples []sample, figure func(sample) float64) spread {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	return spreadOf(values)
}

// ratio returns the ratio of a figure of a to that of b, round by round.
func ratio(a, b []sample, figure func(sample) float64) spread {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = figure(a[i]) / figure(b[i])
	}
	return spreadOf(values)
}

func rate(s sample) float64 { return s.rate }

func percentile(p float64) func(sample) float64 {
	return func(s sample) float64 { return float64(s.Percentile(p).Microseconds()) }
}

func cpu(i int) func(sample) float64 {
	return func(s sample) float64 { return float64(s.cpu[i].Nanoseconds()) / 1000 }
}

// table returns the figures of each side in Markdown.
func table(sides []side, samples [][]sample) string {
	var b strings.Builder
	b.WriteString("| | requests/s | CPU per request | p50 | p99 |\n|---|---|---|---|---|\n")
	for i, s := range sides {
		r := over(samples[i], rate)
		var costs []string
		for m, meter := range s.meters {
			costs = append(costs, fmt.Sprintf("%s %.0f µs", meter.name, over(samples[i], cpu(m)).median))
		}
		fmt.Fprintf(&b, "| %s | %.0f (%.0f–%.0f) | %s | %s | %s |\n", s.name, r.median, r.low, r.high, strings.Join(costs, ", "),
			micros(over(samples[i], percentile(50)).median), micros(over(samples[i], percentile(99)).median))
	}
	return b.String()
}

// micros writes a time that is given in microseconds.
func micros(n float64) string {
	if n >= 1000 {
		return fmt.Sprintf("%.2f ms", n/1000)
	}
	return fmt.Sprintf("%.0f µs", n)
}
