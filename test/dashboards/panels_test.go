package dashboards

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/prometheus"
)

// TestEveryPanelShowsSomething runs each panel's queries on a real Prometheus, after load and
// faults of all kinds.
func TestEveryPanelShowsSomething(t *testing.T) {
	s := newScene(t)
	s.play()
	for _, d := range read(t) {
		if !slices.Contains([]string{"overview", "user-service", "order-service"}, d.name) {
			continue // its panels are like the others', and the scene has no such service
		}
		t.Run(d.name, func(t *testing.T) {
			shown := map[int][]*model.SampleStream{}
			for _, p := range d.Panels {
				t.Run(p.Title, func(t *testing.T) {
					for _, q := range p.Targets {
						shown[p.ID] = append(shown[p.ID], s.check(t, p, q)...)
					}
				})
			}
			drawn := d
			if d.name == "overview" {
				drawn = withoutObjectives(d)
			}
			save(t, d.name+".svg", drawDashboard(drawn, shown, s.until))
			for _, a := range d.Annotations.List {
				s.check(t, panel{}, target{Expr: a.Expr})
			}
			for _, v := range d.Templating.List {
				if v.Type == "query" {
					s.checkVariable(t, v)
				}
			}
		})
	}
	save(t, "trace.svg", drawTrace(s.aTrace()))
}

// check runs a query of a panel, and returns the series, each with its legend as the only
// label.
func (s *scene) check(t *testing.T, p panel, q target) (shown []*model.SampleStream) {
	t.Helper()
	query := filled(t, q.Expr)
	tree := s.prometheus.Parse(t, query)
	s.checkLabels(t, tree, nil)
	for _, one := range s.shows(t, query, q.Instant) {
		for _, label := range legendLabels(q.LegendFormat) {
			require.Contains(t, one.Metric, model.LabelName(label), "the legend of %s", query)
		}
		if p.Type == "state-timeline" {
			known := p.FieldConfig.Defaults.Mappings[0].Options
			for _, point := range one.Values {
				require.Contains(t, known, point.Value.String(), "a state of %s", query)
			}
		}
		legend := legendLabel.ReplaceAllStringFunc(q.LegendFormat, func(label string) string {
			return string(one.Metric[model.LabelName(strings.Trim(label, "{} "))])
		})
		shown = append(shown, &model.SampleStream{Metric: model.Metric{"legend": model.LabelValue(legend)}, Values: one.Values})
	}
	return shown
}

// shows returns the result of a query over the whole scene, which must have a number.
func (s *scene) shows(t *testing.T, query string, instant bool) model.Matrix {
	t.Helper()
	span := v1.Range{Start: s.from, End: s.until, Step: time.Second}
	if instant {
		span.Start = s.until
	}
	value, warnings, hints, err := s.prometheus.QueryRange(t.Context(), query, span)
	require.NoError(t, err, query)
	require.Empty(t, warnings, query)
	require.Empty(t, hints, query) // such as a rate of a gauge
	matrix, ok := value.(model.Matrix)
	require.True(t, ok, query)
	require.True(t, slices.ContainsFunc(matrix, func(one *model.SampleStream) bool {
		return slices.ContainsFunc(one.Values, func(p model.SamplePair) bool { return !math.IsNaN(float64(p.Value)) })
	}), "no result: %s", query)
	return matrix
}

// checkLabels checks that a query's metrics have the labels that it names, because Prometheus
// accepts a misspelled label in a "by" or a "!=". by are the labels of the aggregations around
// n.
func (s *scene) checkLabels(t *testing.T, n *prometheus.Node, by []string) {
	t.Helper()
	switch {
	case n.Name != "":
		there := s.labelsOf(n.Name)
		require.NotEmpty(t, there, "there is no metric %s", n.Name)
		by = append(slices.Clip(by), n.Labels()...)
		for _, label := range by {
			require.Contains(t, there, label, "%s has no label %s", n.Name, label)
		}
	case n.Type == "aggregation":
		// An outer expression sees only the labels that the aggregation keeps.
		by = n.Grouping
	case n.Matching != nil:
		by = append(slices.Clip(by), n.Matching.Labels...)
	}
	for _, part := range n.Parts() {
		s.checkLabels(t, part, by)
	}
}

// labelsOf returns the labels of a metric's series, or none without series.
func (s *scene) labelsOf(metric string) []string {
	series, _, _, err := s.prometheus.Series(s.t.Context(), []string{metric}, s.from, time.Now())
	require.NoError(s.t, err)
	var names []string
	for _, one := range series {
		for name := range one {
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

var labelValues = regexp.MustCompile(`^label_values\((.*), ([a-z_]+)\)$`)

// checkVariable requires that a variable has values to choose from.
func (s *scene) checkVariable(t *testing.T, v variable) {
	t.Helper()
	var query struct{ Query string }
	require.NoError(t, json.Unmarshal(v.Query, &query))
	parts := labelValues.FindStringSubmatch(filled(t, query.Query))
	require.NotNil(t, parts, query.Query)
	values, _, _, err := s.prometheus.LabelValues(t.Context(), parts[2], []string{parts[1]}, s.from, time.Now())
	require.NoError(t, err)
	require.NotEmpty(t, values, query.Query)
}
