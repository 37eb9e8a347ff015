package dashboards

import (
	"cmp"
	"flag"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/collector"
)

// Grafana isn't available everywhere, so the panels are drawn here from the same answers of
// Prometheus.

var pictures = flag.String("pictures", "", "folder for pictures of the dashboards and of a trace, relative to the project's")

// save writes a picture if -pictures is set.
func save(t *testing.T, name, picture string) {
	t.Helper()
	require.Contains(t, picture, "</svg>")
	if *pictures != "" {
		require.NoError(t, os.WriteFile(filepath.Join(root, *pictures, name), []byte(picture), 0o644))
	}
}

const (
	column, unit = 40, 26 // of Grafana's grid, in pixels
	header       = 44
	margin       = 10

	// A README shows the pictures about 850 pixels wide, so the texts are larger than Grafana's.
	small, medium = 11, 13
	letter        = 6 // at least the average width of a letter of the small size
)

var palette = []string{"#3274d9", "#ff780a", "#37872d", "#e02f44", "#8f3bb8", "#e0b400", "#00868b", "#6b6b6b", "#9b3a12", "#5aa9e6", "#b7a0d8", "#f28cb1"}

// colours are Grafana's.
var colours = map[string]string{"green": "#73bf69", "red": "#f2495c", "orange": "#ff9830", "blue": "#5794f2"}

type drawing struct{ strings.Builder }

func (d *drawing) add(format string, arguments ...any) {
	fmt.Fprintf(&d.Builder, format+"\n", arguments...)
}

func (d *drawing) text(x, y float64, size int, anchor, fill, text string) {
	d.add(`<text x="%.0f" y="%.0f" font-size="%d" text-anchor="%s" fill="%s">%s</text>`, x, y, size, anchor, fill, html.EscapeString(text))
}

func (d *drawing) begin(width, height int, title string) {
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="Helvetica, Arial, sans-serif">`, width, height)
	d.add(`<rect width="%d" height="%d" fill="#f4f5f5"/>`, width, height)
	d.text(margin, 28, 18, "start", "#1f2329", title)
}

// withoutObjectives returns the overview without the objectives, whose budgets of thirty days
// mean nothing after a minute of faults.
func withoutObjectives(d dashboard) dashboard {
	second := 1 + slices.IndexFunc(d.Panels[1:], func(p panel) bool { return p.Type == "row" })
	top := d.Panels[second].GridPos.Y
	d.Panels = slices.Clone(d.Panels[second:])
	for i := range d.Panels {
		d.Panels[i].GridPos.Y -= top
	}
	return d
}

// drawDashboard draws the panels in their places, with their results.
func drawDashboard(d dashboard, shown map[int][]*model.SampleStream, until time.Time) string {
	bottom := 0
	first := until
	for _, p := range d.Panels {
		for _, s := range shown[p.ID] {
			if p.Type != "stat" && s.Values[0].Timestamp.Time().Before(first) {
				first = s.Values[0].Timestamp.Time()
			}
		}
		bottom = max(bottom, p.GridPos.Y+p.GridPos.H)
	}
	out := &drawing{}
	out.begin(24*column+2*margin, header+bottom*unit+margin, d.Title)
	for _, p := range d.Panels {
		b := box{float64(margin + p.GridPos.X*column), float64(header + p.GridPos.Y*unit), float64(p.GridPos.W * column), float64(p.GridPos.H * unit)}
		if p.Type == "row" {
			out.text(b.x, b.y+18, medium+2, "start", "#464c54", p.Title)
			continue
		}
		out.add(`<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" fill="#fff" stroke="#dde0e4"/>`, b.x+2, b.y+2, b.w-4, b.h-4)
		out.text(b.x+10, b.y+20, medium, "start", "#1f2329", p.Title)
		inner := box{b.x + 10, b.y + 32, b.w - 20, b.h - 44}
		switch p.Type {
		case "stat":
			out.stats(inner, p, shown[p.ID])
		case "state-timeline":
			out.states(inner, p, shown[p.ID], first, until)
		default:
			out.lines(inner, p, shown[p.ID], first, until)
		}
	}
	out.add("</svg>")
	return out.String()
}

type box struct{ x, y, w, h float64 }

func (d *drawing) stats(b box, p panel, all []*model.SampleStream) {
	for i, s := range all {
		x := b.x + (float64(i)+0.5)*b.w/float64(len(all))
		value, colour := float64(s.Values[len(s.Values)-1].Value), "green"
		for _, step := range p.FieldConfig.Defaults.Thresholds.Steps {
			if step.Value == nil || value >= *step.Value {
				colour = step.Color
			}
		}
		d.text(x, b.y+b.h/2+4, 24, "middle", cmp.Or(colours[colour], colour), quantity(value, p.FieldConfig.Defaults.Unit))
		d.text(x, b.y+b.h/2+26, small, "middle", "#6e757c", legend(s))
	}
}

func (d *drawing) states(b box, p panel, all []*model.SampleStream, from, until time.Time) {
	height := min(36, b.h/float64(max(1, len(all))))
	for i, s := range all {
		y := b.y + float64(i)*height
		d.text(b.x, y+small, small, "start", "#464c54", legend(s))
		at := func(t time.Time) float64 { return b.x + b.w*part(t, from, until) }
		for j, v := range s.Values {
			end := v.Timestamp.Time().Add(time.Second)
			if j+1 < len(s.Values) && s.Values[j+1].Value == v.Value {
				continue // drawn with the last of its kind
			}
			first := j
			for first > 0 && s.Values[first-1].Value == v.Value {
				first--
			}
			start := at(s.Values[first].Timestamp.Time())
			d.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, start, y+small+4, max(1, min(at(end), b.x+b.w)-start), height-small-6,
				cmp.Or(colours[p.FieldConfig.Defaults.Mappings[0].Options[v.Value.String()].Color], "#6e757c"))
		}
	}
}

func (d *drawing) lines(b box, p panel, all []*model.SampleStream, from, until time.Time) {
	if len(all) > 6 { // leave room for the lines
		all = slices.DeleteFunc(slices.Clone(all), isZero)
	}
	longest := 1
	for _, s := range all {
		longest = max(longest, len(legend(s)))
	}
	columns := min(4, max(1, int(b.w)/(longest*letter+20)))
	const line = small + 3
	lines := (len(all) + columns - 1) / columns
	plot := box{b.x + 52, b.y, b.w - 56, max(40, b.h-float64(lines*line)-6)}
	top := 0.0
	for _, s := range all {
		for _, v := range s.Values {
			if !math.IsNaN(float64(v.Value)) && !math.IsInf(float64(v.Value), 0) {
				top = max(top, float64(v.Value))
			}
		}
	}
	top = rounded(cmp.Or(top, 1))
	for i := range 3 {
		y := plot.y + plot.h*(1-float64(i)/2)
		d.add(`<line x1="%.0f" y1="%.1f" x2="%.0f" y2="%.1f" stroke="#e7e9eb"/>`, plot.x, y, plot.x+plot.w, y)
		d.text(plot.x-4, y+4, small, "end", "#6e757c", quantity(top*float64(i)/2, p.FieldConfig.Defaults.Unit))
	}
	for i, s := range all {
		colour := palette[i%len(palette)]
		var points []string
		for _, v := range s.Values {
			value := float64(v.Value)
			if math.IsNaN(value) || math.IsInf(value, 0) {
				continue
			}
			points = append(points, fmt.Sprintf("%.1f,%.1f", plot.x+plot.w*part(v.Timestamp.Time(), from, until), plot.y+plot.h*(1-value/top)))
		}
		d.add(`<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, strings.Join(points, " "), colour)
		x, y := b.x+float64(i%columns)*b.w/float64(columns), b.y+plot.h+18+float64(i/columns*line)
		if y < b.y+b.h+10 { // without room, a line has no name
			d.add(`<rect x="%.0f" y="%.0f" width="10" height="3" fill="%s"/>`, x, y-5, colour)
			d.text(x+14, y, small, "start", "#464c54", legend(s))
		}
	}
}

// isZero reports whether a series has no value but 0.
func isZero(s *model.SampleStream) bool {
	return !slices.ContainsFunc(s.Values, func(v model.SamplePair) bool { return v.Value != 0 && !math.IsNaN(float64(v.Value)) })
}

// rounded returns the end of an axis for values up to v.
func rounded(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, digit := range []float64{1, 1.2, 1.6, 2, 3, 4, 5, 6, 8} {
		if v <= digit*unit {
			return digit * unit
		}
	}
	return 10 * unit
}

// legend returns the name of a series, without the namespace, which is the same everywhere.
func legend(s *model.SampleStream) string {
	return strings.TrimPrefix(string(s.Metric["legend"]), "compose ")
}

// part returns the position of a time between two others, 0 to 1.
func part(t, from, until time.Time) float64 { return float64(t.Sub(from)) / float64(until.Sub(from)) }

// quantity formats a value in a unit of Grafana.
func quantity(v float64, unit string) string {
	switch {
	case unit == "percentunit":
		if math.Abs(v) >= 10 {
			return fmt.Sprintf("%.0f %%", v*100)
		}
		return fmt.Sprintf("%.3g %%", v*100)
	case unit == "s" && v < 1:
		return fmt.Sprintf("%.3g ms", v*1000)
	case unit == "s":
		return fmt.Sprintf("%.3g s", v)
	case unit == "bytes":
		return fmt.Sprintf("%.0f MiB", v/(1<<20))
	case unit == "reqps":
		return fmt.Sprintf("%.3g/s", v)
	case strings.HasPrefix(unit, "suffix:"):
		return fmt.Sprintf("%.3g%s", v, strings.TrimPrefix(unit, "suffix:"))
	}
	return fmt.Sprintf("%.3g", v)
}

// aTrace returns the trace of a created order: of those with the most spans, the one with the
// median duration.
func (s *scene) aTrace() []collector.Span {
	s.t.Helper()
	var complete [][]collector.Span
	apitest.Eventually(s.t, "the collector has a trace of both services", func() bool {
		traces, most := map[string][]collector.Span{}, 0
		for _, span := range s.collector.Spans(s.t) {
			traces[span.TraceID] = append(traces[span.TraceID], span)
		}
		for _, spans := range traces {
			services := map[string]bool{}
			failed := false
			for _, span := range spans {
				services[span.Service] = true
				failed = failed || span.Failed
			}
			if len(services) < 2 || failed || len(spans) < most {
				continue
			}
			if len(spans) > most {
				complete, most = nil, len(spans)
			}
			complete = append(complete, spans)
		}
		return most > 0
	})
	slices.SortFunc(complete, func(a, b []collector.Span) int { return cmp.Compare(took(a), took(b)) })
	return complete[len(complete)/2]
}

// took returns the time from the first span's start to the last span's end.
func took(spans []collector.Span) time.Duration {
	first := slices.MinFunc(spans, func(a, b collector.Span) int { return a.Start.Compare(b.Start) })
	last := slices.MaxFunc(spans, func(a, b collector.Span) int { return a.End.Compare(b.End) })
	return last.End.Sub(first.Start)
}

// drawTrace draws the spans of a trace as bars, one below the other.
func drawTrace(spans []collector.Span) string {
	slices.SortFunc(spans, func(a, b collector.Span) int { return a.Start.Compare(b.Start) })
	depth, parents := map[string]int{}, map[string]string{}
	from, until := spans[0].Start, spans[0].End
	for _, s := range spans {
		parents[s.SpanID] = s.Parent
		if s.End.After(until) {
			until = s.End
		}
	}
	for _, s := range spans {
		for id := parents[s.SpanID]; id != ""; id = parents[id] {
			depth[s.SpanID]++
		}
	}
	const height, left, right = 26, 350, 440
	d := &drawing{}
	d.begin(left+right+2*margin+80, header+height*len(spans)+margin, fmt.Sprintf("Creating an order takes %v", until.Sub(from).Round(10*time.Microsecond)))
	services := map[string]string{"order-service": palette[0], "user-service": palette[1]}
	for i, s := range spans {
		y := float64(header + i*height)
		d.add(`<rect x="%d" y="%.0f" width="%d" height="%d" fill="%s"/>`, margin, y, left+right+80, height-2, "#fff")
		d.text(float64(margin+8+14*depth[s.SpanID]), y+16, medium, "start", services[s.Service], s.Service)
		d.text(float64(margin+106+14*depth[s.SpanID]), y+16, medium, "start", "#1f2329", s.Name)
		x := left + right*part(s.Start, from, until)
		width := max(2, right*(part(s.End, from, until)-part(s.Start, from, until)))
		d.add(`<rect x="%.1f" y="%.0f" width="%.1f" height="12" rx="2" fill="%s"/>`, x, y+6, width, services[s.Service])
		d.text(x+width+5, y+16, small+1, "start", "#6e757c", s.End.Sub(s.Start).Round(10*time.Microsecond).String())
	}
	d.add("</svg>")
	return d.String()
}
