package dashboards

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/catalog"
)

const (
	root   = "../.."
	folder = root + "/charts/microservices/dashboards"
)

// dashboard has the fields of Grafana's model that the tests use.
type dashboard struct {
	name string // of the file

	UID, Title    string
	SchemaVersion int
	Templating    struct{ List []variable }
	Annotations   struct{ List []struct{ Expr string } }
	Panels        []panel
}

type variable struct {
	Name, Type string
	Query      json.RawMessage // a text, or an object with one
}

type panel struct {
	ID          int
	Type        string
	Title       string
	Datasource  struct{ UID string }
	GridPos     struct{ X, Y, W, H int }
	Targets     []target
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64 // none: the lowest
				}
			}
			Mappings []struct {
				Options map[string]struct{ Text, Color string }
			}
		}
	}
}

type target struct {
	Expr, LegendFormat string
	Instant, Exemplar  bool
}

func read(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.json")
	require.NoError(t, err)
	services, err := catalog.Read(root)
	require.NoError(t, err)
	require.Len(t, files, 1+len(services))
	all := make([]dashboard, len(files))
	for i, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(content, &all[i]), file)
		all[i].fillConstants(t)
		all[i].name = strings.TrimSuffix(filepath.Base(file), ".json")
	}
	return all
}

// fillConstants fills in constant variables, like Grafana.
func (d dashboard) fillConstants(t *testing.T) {
	t.Helper()
	for _, v := range d.Templating.List {
		if v.Type != "constant" {
			continue
		}
		var value string
		require.NoError(t, json.Unmarshal(v.Query, &value))
		for _, p := range d.Panels {
			for i := range p.Targets {
				p.Targets[i].Expr = strings.ReplaceAll(p.Targets[i].Expr, "$"+v.Name, value)
			}
		}
	}
}

// step is the distance between the points of a picture, and rateInterval the interval that
// Grafana would derive from it.
const (
	stepSeconds  = "1s"
	rateInterval = "5s"
)

// filled returns a query with every variable of Grafana set to "All".
func filled(t *testing.T, query string) string {
	t.Helper()
	query = strings.NewReplacer("$__rate_interval", rateInterval, "$__interval", stepSeconds, "$namespace", ".*", "$pod", ".*").Replace(query)
	require.NotContains(t, query, "$")
	return query
}

var legendLabel = regexp.MustCompile(`\{\{ *([a-z_]+) *\}\}`)

// legendLabels returns the labels that a legend names.
func legendLabels(legend string) []string {
	var labels []string
	for _, match := range legendLabel.FindAllStringSubmatch(legend, -1) {
		labels = append(labels, match[1])
	}
	return labels
}
