// Package chart tests the rendered Helm chart: against the schemas of Kubernetes, with both
// supported versions of Helm, and against a reviewed rendering.
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
	// kubernetes is the version to render for, because Helm's default depends on its build.
	kubernetes = "1.34.4"
)

// others returns the services that these tests leave out. They test the chart with the two
// original services, whichever others a fork has added.
func others(t *testing.T) []string {
	t.Helper()
	all, err := catalog.Read(root)
	require.NoError(t, err)
	return slices.DeleteFunc(catalog.Names(all), func(name string) bool { return name == "user-service" || name == "order-service" })
}

// helms are the names of the tools of the supported versions of Helm.
var helms = []string{"helm", "helm3"}

// installations are the values of typical installations.
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

// allOn turns every option on.
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

// run runs a program, and returns its output. It fails the test with all output on an error.
func run(t *testing.T, stdin, program string, arguments ...string) string {
	t.Helper()
	out, said, err := try(t, stdin, program, arguments...)
	require.NoError(t, err, "%s %s\n%s%s", filepath.Base(program), strings.Join(arguments, " "), out, said)
	return out
}

// try runs a program, and returns its standard output and standard error.
func try(t *testing.T, stdin, program string, arguments ...string) (stdout, stderr string, err error) {
	t.Helper()
	command := exec.Command(program, arguments...)
	command.Stdin = strings.NewReader(stdin)
	// Without the user's kubeconfig, plugins and repositories.
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
