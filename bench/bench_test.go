package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/postgres"
)

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// TestEveryBenchmarkRuns runs each benchmark at its smallest size. It checks no figure, because
// that needs an idle machine.
func TestEveryBenchmarkRuns(t *testing.T) {
	root, err := moduleRoot(t.Context())
	require.NoError(t, err)
	// Built like the services of the other tests, to reuse the build cache.
	dir := t.TempDir()
	p, err := build(t.Context(), root, dir, nil, os.Environ())
	require.NoError(t, err)
	p.before = p.users
	l := &lab{size: tinySize, root: root, programs: p, dir: dir, newDatabase: func(context.Context) (string, error) { return postgres.New(t), nil }}
	for _, b := range benchmarks {
		t.Run(b.name, func(t *testing.T) {
			s, err := l.measure(t.Context(), b)
			require.NoError(t, err)
			require.NotEmpty(t, s.title)
			require.NotEmpty(t, s.figures)
			require.NotEmpty(t, s.body)
			require.Positive(t, s.noise.median)
			for _, f := range s.figures {
				require.NotContains(t, f.row(), "NaN")
			}
		})
	}
}

func TestChoose(t *testing.T) {
	all, err := choose("")
	require.NoError(t, err)
	require.Len(t, all, len(benchmarks)-2, "all but those that run only if named")
	some, err := choose("breaker,deep,get")
	require.NoError(t, err)
	require.Equal(t, "get deep breaker", fmt.Sprint(some[0].name, " ", some[1].name, " ", some[2].name))
	_, err = choose("get,nothing")
	require.ErrorContains(t, err, `no benchmark "nothing"`)
}

func TestQuartiles(t *testing.T) {
	require.Equal(t, quartiles{1, 2, 3, 4, 5}, quartilesOf([]float64{5, 1, 4, 2, 3}))
	require.Equal(t, quartiles{1, 1.25, 1.5, 1.75, 2}, quartilesOf([]float64{2, 1}))
	require.Equal(t, quartiles{7, 7, 7, 7, 7}, quartilesOf([]float64{7}))
}

func TestAFigureIsJudgedByItsQuartiles(t *testing.T) {
	around := func(v float64) []float64 { return []float64{v - 0.2, v - 0.1, v, v + 0.1, v + 0.2} }
	for verdict, values := range map[string][]float64{"missed": around(0.4), "undecided": around(0.6), "reached": around(0.75), "aim reached": around(0.95)} {
		f := figure{what: "w", form: "%.2f", values: values, target: atLeast(0.6, 0.8)}
		require.Contains(t, f.row(), " | ≥ 0.60 | 0.80 | "+verdict+" |")
	}
	for verdict, values := range map[string][]float64{"missed": around(1.7), "undecided": around(1.5), "reached": around(1.4), "aim reached": around(1.1)} {
		f := figure{what: "w", form: "%.2f", values: values, target: atMost(1.5, 1.3)}
		require.Contains(t, f.row(), " | ≤ 1.50 | 1.30 | "+verdict+" |")
	}
	f := figure{what: "w", form: "%.2f", values: around(0.7), cpu: around(0.3), target: atLeast(0.6, 0.8)}
	require.Equal(t, "| w | 0.70 (0.60–0.80) | 0.30 (0.20–0.40) | ≥ 0.60 | 0.80 | reached; by CPU missed |\n", f.row())
	require.Equal(t, "| w | 0.70 (0.60–0.80) |  |  |  |  |\n", figure{what: "w", form: "%.2f", values: around(0.7)}.row())
}

// TestASectionIsWrittenAlone: the page's own text and the other sections don't change.
func TestASectionIsWrittenAlone(t *testing.T) {
	r := results{root: t.TempDir(), commit: "abc"}
	require.NoError(t, os.MkdirAll(filepath.Join(r.root, "bench", "notes"), 0o700))
	require.NoError(t, os.WriteFile(r.page("get"), []byte("# GET\n\nWords.\n"), 0o600))
	require.NoError(t, os.WriteFile(r.page("way"), []byte("## What is in the way\n\n[Nothing](get.md).\n"), 0o600))
	quiet := quartiles{9, 10, 10, 10.1, 11}
	require.NoError(t, r.write("get", section{title: "T", body: "Details 1", noise: quiet, figures: []figure{single("one", "%.0f", "", 1, nil)}}, time.Second))
	require.NoError(t, r.write("post", section{title: "P", body: "Details P", noise: quartiles{9, 9, 10, 13, 20}, figures: []figure{single("three", "%.0f", " ms", 3, nil)}}, time.Second))
	require.NoError(t, r.write("get", section{title: "T", body: "Details 2", noise: quiet, figures: []figure{single("two", "%.0f", "", 2, nil)}}, time.Second))
	require.NoError(t, r.summarize("- Machine\n"))
	page, err := os.ReadFile(r.page("get"))
	require.NoError(t, err)
	require.Contains(t, string(page), "# GET\n\nWords.\n\n## Measured\n")
	require.Contains(t, string(page), "| two | 2 |")
	require.NotContains(t, string(page), "one")
	sum, err := os.ReadFile(filepath.Join(r.root, "bench", "RESULTS.md"))
	require.NoError(t, err)
	require.Contains(t, string(sum), "|---|---|---|---|---|---|---|\n| [get](notes/get.md) | two | 2 |  |  |  |  |\n| [post](notes/post.md) | three | 3 ms |  |  |  |  |\n\n## What is in the way\n\n[Nothing](notes/get.md).\n\n## The machine\n\n- Machine\n")
	require.Contains(t, string(sum), "Not measured yet: list order ")
	require.Contains(t, string(sum), "disturbed the machine in: post (40 %).")
}
