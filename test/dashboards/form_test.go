package dashboards

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDashboardsHaveGrafanasForm checks that the files have the form that Grafana reads, without leftovers
// of its export.
func TestDashboardsHaveGrafanasForm(t *testing.T) {
	for _, d := range read(t) {
		t.Run(d.name, func(t *testing.T) {
			require.Equal(t, "microservices-"+d.name, d.UID, "links and bookmarks depend on it")
			require.Equal(t, 42, d.SchemaVersion)
			var whole map[string]any
			content, err := os.ReadFile(folder + "/" + d.name + ".json")
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(content, &whole))
			for _, leftover := range []string{"id", "version", "iteration", "gnetId", "__inputs", "__requires", "__elements", "meta"} {
				require.NotContains(t, whole, leftover)
			}
			var names []string
			for _, v := range d.Templating.List {
				names = append(names, v.Name)
			}
			require.Equal(t, []string{"datasource", "namespace", "pod"}, names[:3])

			taken := map[[2]int]string{}
			for i, p := range d.Panels {
				require.Equal(t, i+1, p.ID)
				require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
				for x := range p.GridPos.W {
					for y := range p.GridPos.H {
						place := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
						require.Empty(t, taken[place], "%s overlaps it", p.Title)
						taken[place] = p.Title
					}
				}
				if p.Type != "row" {
					require.NotEmpty(t, p.Targets, p.Title)
					require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
				}
			}
		})
	}
}

// TestDurationsShowExemplars: panels of durations link slow requests to their traces.
func TestDurationsShowExemplars(t *testing.T) {
	for _, d := range read(t) {
		shown := 0
		for _, p := range d.Panels {
			for _, query := range p.Targets {
				if strings.Contains(query.Expr, "histogram_quantile") || p.Type == "heatmap" {
					require.True(t, query.Exemplar, "%s: %s", d.name, p.Title)
					shown++
				}
			}
		}
		require.NotZero(t, shown, d.name)
	}
}
