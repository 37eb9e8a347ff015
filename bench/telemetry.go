package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
)

// often is how many times more often these are measured than others, for as much
// less time: what else the machine does then meets neighbours alike.
const often = 3

// benchTelemetry compares reading a user with all telemetry, at two samplings, and
// with as little as there can be.
func benchTelemetry(ctx context.Context, g *group) section {
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

	out := section{title: "GET one user with telemetry", body: fmt.Sprintf("%d connections, %d rounds of %s. The collector takes what is sent and throws it away; or it doesn't answer, answers 503, or isn't there.\n", connections, often*g.size.rounds, g.size.span/often)}
	for _, kind := range kinds {
		address := g.filled(ctx, kind, "users", g.size.rows)
		if kind == onPostgres {
			settings = settings[:3] // what becomes of the traces has nothing to do with the database
		}
		var sides []side
		for _, s := range settings {
			// On one database: what is compared is the telemetry and nothing else.
			service := g.start(ctx, g.programs.users, append(s.env, "DATABASE_URL="+address)...)
			plan := g.plan(service, http.StatusOK, getRandom(usersPath, g.size.rows))
			plan.For /= often
			sides = append(sides, g.carry(s.name, service, plan))
		}
		samples := g.alternate(ctx, often*g.size.rounds, sides)
		added := pairs(samples[2], samples[0], func(a, b sample) float64 { return a.cost - b.cost })
		out.figures = append(out.figures, figure{what: on("Logs and 1 % of the traces: CPU added to GET one user", kind), form: "%.1f", unit: " µs", values: added, target: atMost(8, 5)})
		if kind == onSQLite {
			out.figures = append(out.figures,
				over("GET one user with all traces ÷ with metrics only", samples[3], samples[0], atLeast(0.75, 0.85)),
				worst("the same while the collector hangs, refuses or is down ÷ while it answers, the worst", []figure{
					over("", samples[4], samples[3], atLeast(0.9, 1)), over("", samples[5], samples[3], atLeast(0.9, 1)), over("", samples[6], samples[3], atLeast(0.9, 1)),
				}))
		}
		out.body += fmt.Sprintf("\nOn %s:\n\n%s", kind, table(sides, samples))
		g.stop() // before the collectors are
	}
	return out
}
