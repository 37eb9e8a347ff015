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

// TestEveryPanelShowsSomething asks a real Prometheus what each panel asks, after
// work and trouble of all kinds.
func TestEveryPanelShowsSomething(t *testing.T) {
	s := newScene(t)
	s.play()
	for _, d := range read(t) {
		if !slices.Contains([]string{"overview", "user-service", "order-service"}, d.name) {
			continue // its panels are those of the others, and the scene is without it
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
			save(t, d.name+".svg", drawDashboard(d, shown, s.until))
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

// check asks a query of a panel, and returns what it shows, each with its legend
// as its only label.
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

// shows returns what a query shows over the whole scene: at least one number.
func (s *scene) shows(t *testing.T, query string, instant bool) model.Matrix {
	t.Helper()
	span := v1.Range{Start: s.from, End: s.until, Step: time.Second}
	if instant {
		span.Start = s.until
	}
	value, warnings, hints, err := s.prometheus.QueryRange(t.Context(), query, span)
	require.NoError(t, err, query)
	require.Empty(t, warnings, query)
	require.Empty(t, hints, query) // such as a rate of what is no counter
	matrix, ok := value.(model.Matrix)
	require.True(t, ok, query)
	require.True(t, slices.ContainsFunc(matrix, func(one *model.SampleStream) bool {
		return slices.ContainsFunc(one.Values, func(p model.SamplePair) bool { return !math.IsNaN(float64(p.Value)) })
	}), "nothing is shown: %s", query)
	return matrix
}

// checkLabels holds the labels that a query names against those that its metrics
// have: a misspelled one in a "by" or in a "!=" is no error to Prometheus. by are
// the labels that aggregations around n ask for.
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
		// What is above an aggregation sees only what that leaves.
		by = n.Grouping
	case n.Matching != nil:
		by = append(slices.Clip(by), n.Matching.Labels...)
	}
	for _, part := range n.Parts() {
		s.checkLabels(t, part, by)
	}
}

// labelsOf are the labels of a metric's series; none where there are no series.
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

// checkVariable asks for the values that can be chosen from.
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
