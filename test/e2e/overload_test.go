//go:build e2e

package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAnOverloadOfThePods raises the rate of writes until pods with an eighth of a CPU reject
// a fifth of them. Those get Retry-After, and the throughput doesn't collapse. No pod is
// restarted or becomes unready, so the probes were answered. bench/RESULTS.md has the latencies.
func TestAnOverloadOfThePods(t *testing.T) {
	n := newNamespace(t)
	n.install(installation{images: releases[0], values: n.postgresMode() + `
defaults: {replicas: 1, resources: {limits: {cpu: 120m}}}
rateLimit: {read: "0", write: "0"}
`})
	began := time.Now()
	for rate := 400; ; rate += rate / 2 {
		require.LessOrEqual(t, rate, 4000, "no rate was an overload")
		done, refused := n.loadFor10Seconds(rate)
		if refused > done/4 {
			figure("overload: writes sent ÷ writes completed", float64(done+refused)/float64(done), "")
			break
		}
	}
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

// loadFor10Seconds sends rate writes per second, and returns how many were completed and how
// many were rejected for overload. It fails if fewer than half as many are completed in the
// second half of the time as in the first.
func (n *namespace) loadFor10Seconds(rate int) (done, refused int) {
	t := n.t
	t.Helper()
	load := n.startLoad(rate, "")
	n.eventually("there were enough writes", func() bool { return len(load.report().Writes) >= 10*rate })
	report := load.stop()
	n.kubectl("delete", "pod", "load", "--wait")
	t.Logf("%d/s: %s", rate, report)

	var halves [2]int // writes completed in each half
	unanswered := 0
	middle := report.Writes[len(report.Writes)-1].At / 2
	for _, w := range report.Writes {
		switch w.Status {
		case http.StatusCreated:
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
			refused++
		}
	}
	require.Less(t, unanswered, len(report.Writes)/100, "requests without an answer")
	require.Greater(t, halves[1], halves[0]/2, "the throughput fell: %v", halves)
	return halves[0] + halves[1], refused
}
