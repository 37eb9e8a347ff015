package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// Helm must not interpret the dashboards' own templates.
func TestDashboardsAreInstalledUnchanged(t *testing.T) {
	files, err := filepath.Glob(chart + "/dashboards/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	location := schemas(t)
	for _, helm := range helms {
		t.Run(helm, func(t *testing.T) {
			rendered := run(t, "", tool(t, helm), append(templateArguments(t, nil), "--set", "dashboards.enabled=true", "--show-only", "templates/dashboards.yaml")...)
			validate(t, location, rendered)
			installed := map[string]string{}
			for _, document := range documents(rendered) {
				var object struct{ Data map[string]string }
				require.NoError(t, yaml.Unmarshal([]byte(document), &object))
				for name, content := range object.Data {
					installed[name] = content
				}
			}
			require.Len(t, installed, len(files))
			for _, file := range files {
				content, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, strings.TrimSpace(string(content)), installed[filepath.Base(file)])
			}
		})
	}
}

// TestDashboardsShowTheObjectives: the values' objectives change three numbers in the
// dashboards, and nothing else.
func TestDashboardsShowTheObjectives(t *testing.T) {
	for _, helm := range helms {
		render := func(set ...string) []string {
			arguments := append(templateArguments(t, nil), "--set", "dashboards.enabled=true", "--show-only", "templates/dashboards.yaml")
			return strings.Split(run(t, "", tool(t, helm), append(arguments, set...)...), "\n")
		}
		var changed []string
		before := render()
		for i, line := range render("--set-json", `slo={"availability":99.95,"latency":{"objective":95,"seconds":1}}`) {
			if line != before[i] {
				changed = append(changed, strings.TrimSpace(line))
			}
		}
		require.Equal(t, []string{`"query": "99.95",`, `"query": "95",`, `"query": "1",`}, changed, helm)
	}
}
