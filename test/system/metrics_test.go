package system

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/session"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

// TestTheMetricsAreDocumented compares docs/metrics.md with the metrics of both services
// after the README's session:
//
//	go test ./test/system -run TestTheMetricsAreDocumented -update    writes it
func TestTheMetricsAreDocumented(t *testing.T) {
	g := startGuarded(t, "CONCURRENCY_LIMIT=20:500", "RATE_LIMIT_READ=1000/s", "RATE_LIMIT_WRITE=1000/s")
	session.RunWith(t, "../..", g.users.Address, g.orders.Address, g.token(t, uuid.NewString(), sessionScopes))
	users, orders := families(t, scrapeText(t, g.users)), families(t, scrapeText(t, g.orders))
	const path = "../../docs/metrics.md"
	want := metricsDocument(users, orders)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(have), "if the change is intended: go test ./test/system -run TestTheMetricsAreDocumented -update")
}

func families(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	return all
}

func metricsDocument(users, orders map[string]*dto.MetricFamily) string {
	var both, usersOnly, ordersOnly []*dto.MetricFamily
	for name, f := range users {
		switch {
		case strings.HasPrefix(name, "go_"), strings.HasPrefix(name, "process_"):
		case orders[name] != nil:
			both = append(both, f)
		default:
			usersOnly = append(usersOnly, f)
		}
	}
	for name, f := range orders {
		if users[name] == nil {
			ordersOnly = append(ordersOnly, f)
		}
	}
	var b strings.Builder
	b.WriteString(`# Metrics

Written from what the services give at ` + "`/metrics`" + ` (test/system/metrics_test.go); don't edit. Those of Go's runtime (` + "`go_*`" + `) and of the process (` + "`process_*`" + `) are there, too.

Every label has few values: routes are templates, and what clients send is never one. In the OpenMetrics format the histograms of requests carry the ids of traces as exemplars; in Protobuf they also have native buckets.
`)
	for _, part := range []struct {
		title string
		rows  []*dto.MetricFamily
	}{{"Both services", both}, {"user-service", usersOnly}, {"order-service", ordersOnly}} {
		if len(part.rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", part.title)
		slices.SortFunc(part.rows, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
		for _, f := range part.rows {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels(f), ", "), f.GetHelp())
		}
	}
	return b.String()
}

// labels are the names of a metric's labels.
func labels(f *dto.MetricFamily) []string {
	var names []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if !slices.Contains(names, "`"+l.GetName()+"`") {
				names = append(names, "`"+l.GetName()+"`")
			}
		}
	}
	slices.Sort(names)
	return names
}
