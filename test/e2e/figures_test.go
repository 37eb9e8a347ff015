//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	containers "github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

// measured are the figures of this run, in order of measurement.
var (
	measured   []measurement
	measuredMu sync.Mutex
)

// measurement is one figure of bench/cluster.json.
type measurement struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// figure records a figure. No test depends on figures, as the machine may be busy.
func figure(what string, value float64, unit string) {
	measuredMu.Lock()
	defer measuredMu.Unlock()
	measured = append(measured, measurement{what, value, unit})
}

// writeFigures prints the figures, and after a successful run writes them to the file that
// E2E_FIGURES names.
func writeFigures(code int) {
	for _, m := range measured {
		fmt.Fprintf(os.Stderr, "%-75s %8.1f %s\n", m.What, m.Value, m.Unit)
	}
	file := os.Getenv("E2E_FIGURES")
	if file == "" || code != 0 {
		return
	}
	commit, err := output(nil, "git", "describe", "--always", "--dirty")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	text, err := json.MarshalIndent(map[string]any{"commit": commit, "date": time.Now().UTC().Format(time.DateOnly), "figures": measured}, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// readyAfter returns the time from a pod's creation to ready, in whole seconds as Kubernetes
// reports it.
func readyAfter(p pod) time.Duration {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.LastTransitionTime.Sub(p.Metadata.CreationTimestamp)
		}
	}
	return 0
}

// resident returns a service's resident memory by its own metric, in MiB.
func (n *namespace) resident(service string) float64 {
	n.t.Helper()
	bytes, err := strconv.ParseFloat(metric(n.t, n.forward("service/shop-"+service, adminPort), "process_resident_memory_bytes"), 64)
	require.NoError(n.t, err)
	return bytes / (1 << 20)
}

// size returns the compressed size of an image, in MB.
func size(t *testing.T, reference string) float64 {
	t.Helper()
	named, err := containers.ParseReference(reference)
	require.NoError(t, err)
	image, err := remote.Image(named, remote.WithContext(t.Context()), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	require.NoError(t, err)
	manifest, err := image.Manifest()
	require.NoError(t, err)
	total := manifest.Config.Size
	for _, layer := range manifest.Layers {
		total += layer.Size
	}
	return float64(total) / 1e6
}
