package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
)

// often is how many times as many rounds these have as others, each shorter by the same factor,
// so that other load on the machine affects neighbouring rounds alike.
const often = 3

// benchTelemetry compares reading a user with all telemetry, at two sampling ratios, and with as
// little as possible.
func benchTelemetry(ctx context.Context, g *group) section {
	// A real collector would be on another machine; this one only reads what is sent.
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer collector.Close()
	// Accepts connections, and never answers.
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // otherwise the server doesn't notice that the client has gone
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

	out := section{title: "GET one user with telemetry", body: fmt.Sprintf("%d connections, %d rounds of %s. The collector reads and discards everything, or doesn't answer, answers 503, or is down.\n", connections, often*g.size.rounds, g.size.span/often)}
	for _, kind := range kinds {
		address := g.filled(ctx, kind, "users", g.size.rows)
		if kind == onPostgres {
			settings = settings[:3] // the fate of the traces doesn't depend on the database
		}
		var sides []side
		for _, s := range settings {
			// On one database, to compare only the telemetry.
			service := g.start(ctx, g.programs.users, append(s.env, "DATABASE_URL="+address)...)
			plan := g.plan(service, http.StatusOK, getRandom(usersPath, g.size.rows))
			plan.For /= often
			sides = append(sides, g.carry(s.name, service, plan))
		}
		samples := g.alternate(ctx, often*g.size.rounds, sides)
		added := pairs(samples[2], samples[0], func(a, b sample) float64 { return a.cost - b.cost })
		out.figures = append(out.figures, figure{what: on("CPU that logs and 1 % of the traces add to GET one user", kind), form: "%.1f", unit: " µs", values: added, target: atMost(8, 5)})
		if kind == onSQLite {
			out.figures = append(out.figures,
				over("GET one user with all traces ÷ with metrics only", samples[3], samples[0], atLeast(0.75, 0.85)),
				worst("GET one user with all traces, the collector hanging, rejecting or down ÷ working, worst case", []figure{
					over("", samples[4], samples[3], atLeast(0.9, 1)), over("", samples[5], samples[3], atLeast(0.9, 1)), over("", samples[6], samples[3], atLeast(0.9, 1)),
				}))
		}
		out.body += fmt.Sprintf("\nOn %s:\n\n%s", kind, table(sides, samples))
		g.stop() // before the collectors stop
	}
	return out
}
