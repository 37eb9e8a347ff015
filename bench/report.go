package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// finding is a line of the summary.
type finding struct {
	what, target, value, spread string
	// met says whether the target was: "yes", "MISSED", or "" when there is
	// none.
	met string
}

// section is what one benchmark found.
type section struct {
	name, title string
	findings    []finding
	// body is the details, in Markdown.
	body string
}

// report is a whole run.
type report struct {
	machine string
	// idle is how much of the processors was free before each benchmark, in
	// percent.
	idle     []float64
	sections []section
	took     time.Duration
}

// atLeast is the finding of a ratio that should be large.
func atLeast(what string, r spread, target float64) finding {
	f := finding{what: what, target: fmt.Sprintf("≥ %.2g", target), value: fmt.Sprintf("%.3f", r.median), spread: fmt.Sprintf("%.2f–%.2f", r.low, r.high)}
	return f.judge(r.median >= target)
}

// atMost is the finding of a figure that should be small, written in a form.
func atMost(what, form string, r spread, target float64) finding {
	f := finding{
		what: what, target: "≤ " + fmt.Sprintf(form, target), value: fmt.Sprintf(form, r.median),
		spread: "–",
	}
	if r.low < r.high {
		f.spread = fmt.Sprintf(form, r.low) + "–" + fmt.Sprintf(form, r.high)
	}
	return f.judge(r.median <= target)
}

// reported is the finding of a ratio without a target.
func reported(what string, r spread) finding {
	return finding{what: what, target: "–", value: fmt.Sprintf("%.2f", r.median), spread: fmt.Sprintf("%.2f–%.2f", r.low, r.high)}
}

func (f finding) judge(ok bool) finding {
	f.met = "MISSED"
	if ok {
		f.met = "yes"
	}
	return f
}

// enoughIdle is the share of the processors, in percent, that others must leave
// free for the figures to mean something.
const enoughIdle = 90

// warning says so when the machine was busy with something else.
func (r report) warning() string {
	idle := spreadOf(r.idle)
	if len(r.idle) == 0 || idle.median >= enoughIdle {
		return ""
	}
	return fmt.Sprintf("**The machine was busy with other things: only %.0f %% of its processors were free. "+
		"Neither a target that was met nor one that was missed shows anything; measure again when it is quiet.**\n\n", idle.median)
}

// summary is the one table that says it all.
func (r report) summary() string {
	var b strings.Builder
	b.WriteString("| what | target | median | spread | met |\n|---|---|---|---|---|\n")
	for _, s := range r.sections {
		for _, f := range s.findings {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", f.what, f.target, f.value, f.spread, f.met)
		}
	}
	return b.String()
}

//go:embed notes
var notes embed.FS

// note returns what people have found out about a benchmark.
func note(name string) string {
	content, err := notes.ReadFile("notes/" + name + ".md")
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		panic(err) // it is part of the binary
	}
	return string(content)
}

// markdown is the report.
func (r report) markdown() string {
	var b strings.Builder
	b.WriteString("# Figures\n\nWritten by `make bench`; don't edit. What is said about the figures is in `bench/notes`.\n\n")
	b.WriteString(r.warning())
	b.WriteString(r.summary())
	b.WriteString("\n" + note("method"))
	idle := spreadOf(r.idle)
	fmt.Fprintf(&b, "\n## The machine\n\n%s- Processors that others left free, before each benchmark: %.0f %% (%.0f–%.0f)\n- This run took %s\n", r.machine, idle.median, idle.low, idle.high, r.took.Round(time.Second))
	for _, s := range r.sections {
		fmt.Fprintf(&b, "\n## %s\n\n%s%s", s.title, s.body, note(s.name))
	}
	return b.String()
}
