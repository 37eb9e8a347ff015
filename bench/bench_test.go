package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/postgres"
)

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// TestEveryBenchmarkRuns runs each at its smallest. It holds no figure against
// anything: that is for a machine that does nothing else.
func TestEveryBenchmarkRuns(t *testing.T) {
	root, err := moduleRoot(t.Context())
	require.NoError(t, err)
	// Built as the other tests build the services, so that little is compiled.
	dir := t.TempDir()
	p, err := build(t.Context(), root, dir, false, nil, os.Environ())
	require.NoError(t, err)
	p.before = p.users
	l := &lab{size: tinySize, root: root, programs: p, dir: dir, newDatabase: func(context.Context) (string, error) { return postgres.New(t), nil }}
	for _, b := range benchmarks {
		t.Run(b.name, func(t *testing.T) {
			s, err := b.run(t.Context(), l)
			require.NoError(t, err)
			require.NotEmpty(t, s.title)
			require.NotEmpty(t, s.findings)
			require.NotContains(t, fmt.Sprintf("%+v", s), "NaN")
		})
	}
}

func TestChoose(t *testing.T) {
	all, err := choose("")
	require.NoError(t, err)
	require.Len(t, all, len(benchmarks))
	for name, chosen := range all {
		require.Equal(t, name != "before", chosen, name)
	}
	some, err := choose("get,breaker")
	require.NoError(t, err)
	require.True(t, some["get"])
	require.False(t, some["post"])
	_, err = choose("nothing")
	require.ErrorContains(t, err, `no benchmark "nothing"`)
}

func TestSpread(t *testing.T) {
	require.Equal(t, spread{1, 2, 9}, spreadOf([]float64{9, 1, 2}))
	require.Equal(t, spread{1, 1.5, 2}, spreadOf([]float64{2, 1}))
	a, b := []sample{{rate: 1}, {rate: 9}}, []sample{{rate: 2}, {rate: 3}}
	require.Equal(t, spread{0.5, 1.75, 3}, ratio(a, b, rate))
}

func TestAMissedTargetSaysSo(t *testing.T) {
	require.Equal(t, "yes", atLeast("x", spread{0.4, 0.45, 0.5}, 0.45).met)
	require.Equal(t, "MISSED", atLeast("x", spread{0.3, 0.44, 0.5}, 0.45).met)
	require.Equal(t, "yes", atMost("x", "%.0f ms", spread{90, 100, 200}, 100).met)
	require.Equal(t, "MISSED", atMost("x", "%.0f ms", spread{90, 101, 200}, 100).met)
	r := report{sections: []section{{title: "T", body: "B", findings: []finding{atLeast("w", spread{1, 2, 3}, 1)}}}}
	require.Contains(t, r.markdown(), "| w | ≥ 1 | 2.000 | 1.00–3.00 | yes |")
	require.True(t, strings.HasSuffix(r.markdown(), "## T\n\nB"), r.markdown())
}

func TestABusyMachineIsAWarning(t *testing.T) {
	require.Contains(t, report{idle: []float64{40, 50, 95}}.markdown(), "only 50 % of its processors")
	require.NotContains(t, report{idle: []float64{98, 50, 95}}.markdown(), "was busy")
}
