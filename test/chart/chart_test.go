// Package chart tests the Helm chart as it is rendered: against the schemas of
// Kubernetes, with both Helms that people use, and against renderings to review.
//
//	go test -count=1 ./test/chart   runs all of it (Go would not see that the chart changed)
//	go test ./test/chart -update    writes golden.yaml and the chart's README.md
//
// The tools are those pinned under .ci/tools.
package chart

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/catalog"
)

var update = flag.Bool("update", false, "write the golden rendering and the chart's README.md")

const (
	root  = "../.."
	chart = root + "/charts/microservices"
	// kubernetes is the version that is rendered for: what a Helm takes by itself
	// depends on how it was built.
	kubernetes = "1.34.4"
)

// others are the services that these tests are not about: the chart is tried with the two
// that the project began with, whichever it has by now.
func others(t *testing.T) []string {
	t.Helper()
	all, err := catalog.Read(root)
	require.NoError(t, err)
	return slices.DeleteFunc(catalog.Names(all), func(name string) bool { return name == "user-service" || name == "order-service" })
}

// helms are the two that people use, by the names of their tools.
var helms = []string{"helm", "helm3"}

// installations are the values that people install with.
var installations = []struct {
	name   string
	values []string
}{
	{"default", nil},
	{"postgres", []string{"testdata/postgres.yaml"}},
	{"dev", []string{chart + "/values-dev.yaml"}},
	{"staging", []string{chart + "/values-staging.yaml"}},
	{"prod", []string{chart + "/values-prod.yaml"}},
	{"backup", []string{"testdata/backup.yaml"}},
	{"all-on", allOn},
}

// allOn has everything that there is.
var allOn = []string{"testdata/all-on.yaml"}

// tool returns the path of a pinned tool. The first call builds it.
func tool(t *testing.T, name string) string {
	t.Helper()
	command := exec.Command(root+"/.ci/tool", "--path", name)
	command.Stderr = os.Stderr
	out, err := command.Output()
	require.NoError(t, err, "building %s", name)
	return strings.TrimSpace(string(out))
}

// run runs a program and returns what it prints; a failure shows all it said.
func run(t *testing.T, stdin, program string, arguments ...string) string {
	t.Helper()
	out, said, err := try(t, stdin, program, arguments...)
	require.NoError(t, err, "%s %s\n%s%s", filepath.Base(program), strings.Join(arguments, " "), out, said)
	return out
}

// try runs a program and returns what it prints on its two outputs.
func try(t *testing.T, stdin, program string, arguments ...string) (stdout, stderr string, err error) {
	t.Helper()
	command := exec.Command(program, arguments...)
	command.Stdin = strings.NewReader(stdin)
	// No kubeconfig, plugin or repository of whoever runs this.
	home := t.TempDir()
	command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(home, "none"),
		"HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err = command.Run()
	return out.String(), said.String(), err
}

// render returns the chart's objects, installed as release "shop" in namespace "shops".
func render(t *testing.T, helm string, values []string) string {
	t.Helper()
	return run(t, "", tool(t, helm), templateArguments(t, values)...)
}

func templateArguments(t *testing.T, values []string) []string {
	arguments := []string{"template", "shop", chart, "--namespace", "shops", "--kube-version", kubernetes}
	for _, name := range others(t) {
		arguments = append(arguments, "--set", "services."+name+".enabled=false")
	}
	for _, file := range values {
		arguments = append(arguments, "--values", file)
	}
	return arguments
}
