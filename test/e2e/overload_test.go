//go:build e2e

package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAnOverloadOfThePods sends several times the writes that pods with an eighth of a CPU
// can process. The other writes are rejected with Retry-After. No pod is restarted or becomes
// unready, so the probes were answered. bench/RESULTS.md has the latencies.
func TestAnOverloadOfThePods(t *testing.T) {
	const rate, writes = 2000, 10_000
	n := newNamespace(t)
	n.install(installation{images: releases[0], values: n.postgresMode() + `
defaults: {replicas: 1, resources: {limits: {cpu: 120m}}}
rateLimit: {read: "0", write: "0"}
`})
	began := time.Now()
	load := n.startLoad(rate, "")
	n.eventually("there were enough writes", func() bool { return len(load.report().Writes) >= writes })
	report := load.stop()

	var done, refused []time.Duration
	var halves [2]int // successes of each half of the run
	unanswered := 0
	middle := report.Writes[len(report.Writes)-1].At / 2
	for _, w := range report.Writes {
		switch w.Status {
		case http.StatusCreated:
			done = append(done, w.Took)
			if w.At < middle {
				halves[0]++
			} else {
				halves[1]++
			}
		case 0: // with so little CPU, the kernel drops some connections
			t.Log(w.Error)
			unanswered++
		default:
			require.Equal(t, http.StatusServiceUnavailable, w.Status, w.Error)
			require.NotEmpty(t, w.RetryAfter, w.Error)
			refused = append(refused, w.Took)
		}
	}
	t.Log(report)
	require.NotEmpty(t, done)
	require.Less(t, unanswered, len(report.Writes)/100, "requests without an answer")
	require.Greater(t, len(refused), len(done)/4, "too few were rejected for an overload")
	require.Greater(t, halves[1], halves[0]/2, "the throughput fell: %v", halves)
	figure("overload: writes sent ÷ writes completed", float64(len(report.Writes))/float64(len(done)), "")
	for service := range ports {
		for _, p := range n.pods(service) {
			require.Zero(t, p.Status.ContainerStatuses[0].RestartCount, p.Metadata.Name)
			for _, c := range p.Status.Conditions {
				require.Equal(t, "True", c.Status, "%s %s", p.Metadata.Name, c.Type)
				if c.Type == "Ready" {
					require.True(t, c.LastTransitionTime.Before(began), "%s became unready", p.Metadata.Name)
				}
			}
		}
	}
}
