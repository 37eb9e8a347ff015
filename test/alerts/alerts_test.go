// Package alerts tests the chart's alerts: that each fires when it should and not otherwise
// (testdata), that each has a runbook, and that every metric exists.
package alerts

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/example/microservices/internal/testkit/prometheus"
)

const (
	root  = "../.."
	chart = root + "/charts/microservices"
)

// A group is one of the groups of a PrometheusRule, which are those of a rule file
// of Prometheus.
type group struct {
	Name     string `yaml:"name"`
	Interval string `yaml:"interval"`
	Rules    []rule `yaml:"rules"`
}

type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// groups returns the chart's rules, as installed in the namespace shops.
func groups(t *testing.T, set ...string) []group {
	t.Helper()
	arguments := []string{"template", "shop", chart, "--namespace", "shops", "--kube-version", "1.34.4",
		"--show-only", "templates/prometheusrule.yaml", "--set", "prometheusRule.enabled=true"}
	for _, s := range set {
		arguments = append(arguments, "--set-json", s) // --set would pass a fraction as a string
	}
	out, err := run(t, "helm", arguments...)
	require.NoError(t, err, out)
	var object struct{ Spec struct{ Groups []group } }
	require.NoError(t, yaml.Unmarshal([]byte(out), &object))
	require.NotEmpty(t, object.Spec.Groups)
	return object.Spec.Groups
}

// rules returns the rules of all groups.
func rules(t *testing.T, set ...string) []rule {
	t.Helper()
	var all []rule
	for _, g := range groups(t, set...) {
		all = append(all, g.Rules...)
	}
	return all
}

// alerts returns the names of all alerts.
func alerts(t *testing.T) []string {
	t.Helper()
	var names []string
	seen := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert != "" && !seen[r.Alert] {
			names = append(names, r.Alert)
			seen[r.Alert] = true
		}
	}
	require.NotEmpty(t, names)
	return names
}

// writeRules writes a rule file of Prometheus, and returns its path.
func writeRules(t *testing.T, all []group) string {
	t.Helper()
	b, err := yaml.Marshal(map[string]any{"groups": all})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, b, 0o600))
	return file
}

// parser returns a Prometheus that parses expressions.
func parser(t *testing.T) *prometheus.Server {
	t.Helper()
	config := filepath.Join(t.TempDir(), "prometheus.yaml")
	require.NoError(t, os.WriteFile(config, nil, 0o600))
	return prometheus.Start(t, root, config)
}

// run runs a pinned tool, and returns its standard output, or on an error all output.
func run(t *testing.T, tool string, arguments ...string) (string, error) {
	t.Helper()
	// The first call builds it.
	built := exec.Command(root+"/.ci/tool", "--path", tool)
	built.Stderr = os.Stderr
	path, err := built.Output()
	require.NoError(t, err, "building %s", tool)
	command := exec.Command(strings.TrimSpace(string(path)), arguments...)
	// Without the user's kubeconfig, plugins and repositories.
	home := t.TempDir()
	command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(home, "none"),
		"HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err = command.Run()
	if err != nil {
		return out.String() + said.String(), err
	}
	return out.String(), nil
}
