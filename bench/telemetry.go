package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/example/microservices/bench/load"
	"github.com/example/microservices/bench/server"
)

// often is how many times more often these are measured than others, for as much
// less time: what else the machine does then meets neighbours alike.
const often = 3

// benchTelemetry compares reading a user with all telemetry, at two samplings, and
// with as little as there can be.
func benchTelemetry(ctx context.Context, l *lab) (_ section, err error) {
	// A collector has a machine of its own; here one only takes what is sent.
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer collector.Close()
	// It listens, and never answers.
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody sees that the client has gone
		<-r.Context().Done()
	}))
	defer hung.Close()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer refusing.Close()
	down := httptest.NewServer(nil)
	down.Close()
	settings := []struct {
		name string
		env  []string
	}{
		{"nothing but metrics", []string{"LOG_LEVEL=error"}},
		{"and logs", nil},
		{"and 1 % of the traces", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL, "OTEL_TRACES_SAMPLER_ARG=0.01"}},
		{"and all traces", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL}},
		{"all traces, and the collector hangs", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + hung.URL}},
		{"all traces, and the collector refuses", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + refusing.URL}},
		{"all traces, and the collector is down", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + down.URL}},
	}

	result := section{title: "GET one user with telemetry"}
	body := fmt.Sprintf("%d connections, %d rounds of %s. The collector takes what is sent and throws it away; or it doesn't answer, answers 503, or isn't there.\n", connections, 2*often*l.size.rounds, l.size.span/often)
	for _, kind := range []string{onSQLite, onPostgres} {
		g := &group{l: l} // stopped before the collectors are
		defer func() { err = errors.Join(err, g.stop()) }()
		address, err := l.address(ctx, kind)
		if err != nil {
			return section{}, err
		}
		var sides []side
		var path string
		for _, s := range settings {
			// On one database: what is compared is the telemetry and nothing else.
			service, err := g.start(ctx, l.programs.users, append(s.env, "DATABASE_URL="+address)...)
			if err != nil {
				return section{}, err
			}
			if path == "" {
				path, err = createUser(ctx, service.Address)
				if err != nil {
					return section{}, err
				}
			}
			plan := getPlan(l, service, path)
			plan.For /= often
			sides = append(sides, of(s.name, plan, cpuOf("service", service), clientCPU))
		}
		samples, err := alternate(ctx, 2*often*l.size.rounds, sides) // some are close to each other
		if err != nil {
			return section{}, err
		}
		asked := func(what string) string { return fmt.Sprintf("GET one user (%s) %s, throughput", kind, what) }
		result.findings = append(result.findings,
			atLeast(asked("with logs and 1 % of the traces ÷ without either"), ratio(samples[2], samples[0], rate), 0.9),
			atLeast(asked("with logs and all traces ÷ without either"), ratio(samples[3], samples[0], rate), 0.75),
			reported(asked("with 1 % of the traces ÷ without traces"), ratio(samples[2], samples[1], rate)),
			reported(asked("with all traces ÷ without traces"), ratio(samples[3], samples[1], rate)),
			atLeast(asked("while the collector hangs ÷ while it answers"), ratio(samples[4], samples[3], rate), 0.9),
			atLeast(asked("while the collector refuses ÷ while it takes them"), ratio(samples[5], samples[3], rate), 0.9),
			atLeast(asked("while the collector is down ÷ while it answers"), ratio(samples[6], samples[3], rate), 0.9),
		)
		body += fmt.Sprintf("\nOn %s:\n\n%s", kind, table(sides, samples))
	}
	result.body = body + "\n"
	return result, nil
}

// getPlan asks for one path, over and over.
func getPlan(l *lab, s *server.Server, path string) load.Plan {
	request := load.Get(path)
	return load.Plan{
		Address: s.Address, Connections: connections, For: l.size.span, Status: http.StatusOK,
		Append: func(b []byte, _ int) []byte { return append(b, request...) },
	}
}
