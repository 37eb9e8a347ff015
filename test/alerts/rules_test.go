package alerts

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// cases returns the files of promtool's tests.
func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	written := writeRules(t, groups(t))
	for _, file := range cases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			// The tests name the rule file by a relative path.
			copied := filepath.Join(t.TempDir(), filepath.Base(file))
			require.NoError(t, os.WriteFile(copied, b, 0o600))
			require.NoError(t, os.Link(written, filepath.Join(filepath.Dir(copied), "rules.yaml")))
			out, err := run(t, "promtool", "test", "rules", copied)
			require.NoError(t, err, out)
		})
	}
}

// Prometheus accepts the rules at every scale, and no two are the same.
func TestRulesAreValid(t *testing.T) {
	for _, set := range [][]string{
		nil,
		{"prometheusRule.windowScale=0.02"},
		{"slo.latency.seconds=1", "slo.availability=99.99"},
	} {
		t.Run(strings.Join(set, " "), func(t *testing.T) {
			out, err := run(t, "promtool", "check", "rules", "--lint=all", "--lint-fatal", writeRules(t, groups(t, set...)))
			require.NoError(t, err, out)
		})
	}
}

// For each alert, one test sees it fire with its annotations, and one sees it not fire.
func TestEachAlertIsTested(t *testing.T) {
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, file := range cases(t) {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		var content struct {
			Tests []struct {
				Alerts []struct {
					Name     string           `yaml:"alertname"`
					Expected []map[string]any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		require.NoError(t, yaml.Unmarshal(b, &content), file)
		for _, test := range content.Tests {
			for _, alert := range test.Alerts {
				if len(alert.Expected) > 0 {
					fires[alert.Name] = true
				} else {
					quiet[alert.Name] = true
				}
			}
		}
	}
	for _, name := range alerts(t) {
		require.True(t, fires[name], "no test sees %s fire", name)
		require.True(t, quiet[name], "no test sees %s not fire", name)
		delete(fires, name)
		delete(quiet, name)
	}
	require.Empty(t, fires, "tests of alerts that don't exist")
	require.Empty(t, quiet, "tests of alerts that don't exist")
}

func TestEachAlertSaysWhatToDo(t *testing.T) {
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		require.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		require.NotEmpty(t, r.Annotations["description"], r.Alert)
		require.Equal(t, "https://github.com/example/microservices/blob/main/docs/runbooks/"+r.Alert+".md", r.Annotations["runbook_url"])
	}
}

// Series of other releases in the same Prometheus don't affect this release's alerts.
func TestRulesQueryOnlyTheirRelease(t *testing.T) {
	p := parser(t)
	for _, r := range rules(t) {
		selectors := p.Parse(t, r.Expr).Selectors()
		require.NotEmpty(t, selectors, r.Expr)
		for _, s := range selectors {
			require.Contains(t, s.Labels(), "namespace", r.Expr)
			require.Contains(t, s.Labels(), "job", r.Expr)
		}
		require.NotContains(t, r.Expr, "shop-", r.Expr)
		require.Contains(t, r.Expr, `namespace="shops"`)
	}
}

// A threshold between two buckets can't be measured.
func TestTheLatencyObjectiveIsABucket(t *testing.T) {
	source, err := os.ReadFile(root + "/pkg/httpapi/metrics.go")
	require.NoError(t, err)
	list := regexp.MustCompile(`Buckets: +\[\]float64\{(.*)\}`).FindSubmatch(source)
	require.NotNil(t, list, "pkg/httpapi/metrics.go has no list of buckets")
	var buckets []float64
	for _, word := range strings.Split(string(list[1]), ", ") {
		bucket, err := strconv.ParseFloat(word, 64)
		require.NoError(t, err)
		buckets = append(buckets, bucket)
	}

	b, err := os.ReadFile(chart + "/values.schema.json")
	require.NoError(t, err)
	var schema struct {
		Properties struct {
			SLO struct {
				Properties struct {
					Latency struct {
						Properties struct {
							Seconds struct{ Enum []float64 }
						}
					}
				}
			} `yaml:"slo"`
		}
	}
	require.NoError(t, yaml.Unmarshal(b, &schema)) // JSON is YAML
	require.Equal(t, buckets, schema.Properties.SLO.Properties.Latency.Properties.Seconds.Enum)
}
