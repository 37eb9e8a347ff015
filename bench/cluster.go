package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxImage is the maximum size of an image, compressed, in MB.
const maxImage = 15

// benchCluster reports what the end-to-end tests measured on a cluster in their last run with
// E2E_FIGURES=$PWD/bench/cluster.json make e2e.
func benchCluster(_ context.Context, g *group) section {
	s := section{title: "On a cluster"}
	text, err := os.ReadFile(filepath.Join(g.root, "bench", "cluster.json"))
	if errors.Is(err, fs.ErrNotExist) {
		s.body = "Not measured yet.\n"
		return s
	}
	g.failed(err)
	var run struct {
		Commit, Date string
		Figures      []struct {
			What, Unit string
			Value      float64
		}
	}
	err = json.Unmarshal(text, &run)
	g.failed(err)
	var b strings.Builder
	fmt.Fprintf(&b, "Measured by the end-to-end tests on %s at %s, on the cluster of `make cluster`: all of Kubernetes, the pods, PostgreSQL and the tests share two processors. Times that Kubernetes reports are in whole seconds.\n\n| what | value |\n|---|---|\n", run.Date, run.Commit)
	for _, f := range run.Figures {
		fmt.Fprintf(&b, "| %s | %.1f %s |\n", f.What, f.Value, f.Unit)
		if strings.HasPrefix(f.What, "compressed image") {
			s.figures = append(s.figures, single(strings.ToUpper(f.What[:1])+f.What[1:], "%.1f", " MB", f.Value, atMost(maxImage, 13)))
		}
	}
	s.body = b.String()
	return s
}
