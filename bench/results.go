package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// target is a minimum or a maximum for a figure: a bound that must be reached, and an aim.
type target struct {
	most       bool
	bound, aim float64
}

func atLeast(bound, aim float64) *target { return &target{bound: bound, aim: aim} }
func atMost(bound, aim float64) *target  { return &target{most: true, bound: bound, aim: aim} }

// judge returns the verdict for the quartiles.
func (t *target) judge(q quartiles) string {
	switch {
	case t == nil:
		return ""
	case t.most && q.high <= t.aim, !t.most && q.low >= t.aim:
		return "aim reached"
	case t.most && q.high <= t.bound, !t.most && q.low >= t.bound:
		return "reached"
	case t.most && q.low > t.bound, !t.most && q.high < t.bound:
		return "missed"
	}
	return "undecided"
}

// figure is a line of the results.
type figure struct {
	what string
	// form writes a value, in a unit.
	form, unit string
	// values are the rounds' values, and cpu the same figure by CPU time, if it has one.
	values, cpu []float64
	// target is nil for a figure without one.
	target *target
}

// single is a figure that was measured once.
func single(what, form, unit string, value float64, t *target) figure {
	return figure{what: what, form: form, unit: unit, values: []float64{value}, target: t}
}

// worst is the figure furthest from the target that they share.
func worst(what string, figures []figure) figure {
	out := figures[0]
	for _, f := range figures[1:] {
		a, b := quartilesOf(f.values).median, quartilesOf(out.values).median
		if f.target.most && a > b || !f.target.most && a < b {
			out = f
		}
	}
	out.what = what
	return out
}

const tableHead = "| figure | measured (quartiles) | by CPU | target | aim | verdict |\n|---|---|---|---|---|---|\n"

func (f figure) row() string {
	write := func(values []float64) string {
		if len(values) == 0 {
			return ""
		}
		q := quartilesOf(values)
		text := fmt.Sprintf(f.form, q.median)
		if q.least < q.most {
			text += fmt.Sprintf(" ("+f.form+"–"+f.form+")", q.low, q.high)
		}
		return text + f.unit
	}
	var bound, aim string
	if f.target != nil {
		sign := "≥ "
		if f.target.most {
			sign = "≤ "
		}
		bound, aim = sign+fmt.Sprintf(f.form, f.target.bound)+f.unit, fmt.Sprintf(f.form, f.target.aim)+f.unit
	}
	verdict := f.target.judge(quartilesOf(f.values))
	if len(f.cpu) > 0 {
		byCPU := f.target.judge(quartilesOf(f.cpu))
		if byCPU != verdict {
			verdict += "; by CPU " + byCPU
		}
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", f.what, write(f.values), write(f.cpu), bound, aim, verdict)
}

// section is the results of one benchmark.
type section struct {
	title   string
	figures []figure
	// body is the details, in Markdown.
	body string
	// noise is the duration of the fixed piece of work meanwhile, in milliseconds.
	noise quartiles
}

// uneven is the maximum distance of the quartiles of the fixed piece of work, in percent of its
// median. Above it, figures are unreliable.
const uneven = 10

func (s section) unevenness() float64 { return 100 * (s.noise.high - s.noise.low) / s.noise.median }

// results are the files with the figures. A section's results are in its page under
// bench/notes, below the text that people write; RESULTS.md is the summary.
type results struct {
	root, commit string
	// printed means that results are only printed.
	printed bool
}

// measured is the heading of a page's figures.
const measured = "\n## Measured\n"

func (r results) page(name string) string { return filepath.Join(r.root, "bench", "notes", name+".md") }

func (r results) write(name string, s section, took time.Duration) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s, %s, in %s. A fixed piece of work took %.1f ms meanwhile (quartiles %.1f–%.1f, all %.1f–%.1f): noise of %.0f %%.\n\n%s", measured,
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), r.commit, took.Round(time.Second),
		s.noise.median, s.noise.low, s.noise.high, s.noise.least, s.noise.most, s.unevenness(), tableHead)
	for _, f := range s.figures {
		b.WriteString(f.row())
	}
	b.WriteString("\n" + strings.TrimSpace(s.body) + "\n")
	if r.printed {
		fmt.Print("# ", s.title, "\n", b.String())
		return nil
	}
	written, err := os.ReadFile(r.page(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	said, _, _ := strings.Cut(string(written), measured)
	if said == "" {
		said = "# " + s.title + "\n"
	}
	return os.WriteFile(r.page(name), []byte(said+b.String()), 0o644)
}

// summarize writes RESULTS.md from the pages of all sections, regardless of when each was
// measured.
func (r results) summarize(machine string) error {
	if r.printed {
		return nil
	}
	var rows, noisy, missing strings.Builder
	for _, b := range benchmarks {
		page, err := os.ReadFile(r.page(b.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, found, isMeasured := strings.Cut(string(page), measured)
		if !isMeasured && b.name != "before" { // which is never written
			missing.WriteString(" " + b.name)
		}
		head, lines, _ := strings.Cut(found, tableHead)
		lines, _, _ = strings.Cut(lines, "\n\n")
		for line := range strings.Lines(lines) {
			fmt.Fprintf(&rows, "| [%s](notes/%s.md) %s\n", b.name, b.name, strings.TrimSuffix(line, "\n"))
		}
		var noise float64
		_, _ = fmt.Sscanf(head[max(0, strings.LastIndex(head, "noise of")):], "noise of %f", &noise)
		if noise > uneven {
			fmt.Fprintf(&noisy, " %s (%.0f %%)", b.name, noise)
		}
	}
	text := "# Figures\n\nWritten by `make bench`, or one section by `make bench ONLY=get`; don't edit. [How the figures are measured and judged](notes/method.md). Each section's page has the details.\n\n"
	if noisy.Len() > 0 {
		text += "**Other load disturbed the machine in:" + noisy.String() + ". Measure these again on an idle machine.**\n\n"
	}
	if missing.Len() > 0 {
		text += "**Not measured yet:" + missing.String() + ".**\n\n"
	}
	way, err := os.ReadFile(r.page("way"))
	if err != nil {
		return err
	}
	text += "| section " + strings.ReplaceAll(tableHead, "\n|-", "\n|---|-") + rows.String() + "\n" + strings.ReplaceAll(string(way), "](", "](notes/") + "\n## The machine\n\n" + machine
	fmt.Print(text)
	return os.WriteFile(filepath.Join(r.root, "bench", "RESULTS.md"), []byte(text), 0o644)
}
