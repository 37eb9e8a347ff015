package httpapi

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// TestSeriesOfFailuresExistFromTheStart: a rate over a series that first appears with its
// first failures would miss these failures.
func TestSeriesOfFailuresExistFromTheStart(t *testing.T) {
	c := newCrowded(t)
	families, err := c.registry.Gather()
	require.NoError(t, err)
	seen := map[string]uint64{}
	for _, f := range families {
		if f.GetName() != "http_server_request_duration_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			seen[labels["method"]+" "+labels["route"]+" "+labels["status"]] = m.GetHistogram().GetSampleCount()
		}
	}
	for _, operation := range []string{"GET /things/:id", "POST /things", "GET /panic"} {
		for _, status := range []string{"204", "500", "503"} {
			count, there := seen[operation+" "+status]
			require.True(t, there, "%s %s is not among %v", operation, status, seen)
			require.Zero(t, count)
		}
	}
	problems, err := testutil.GatherAndLint(c.registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}
