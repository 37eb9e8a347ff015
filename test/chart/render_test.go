package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChartIsLintedByEachHelm(t *testing.T) {
	for _, helm := range helms {
		for _, installation := range installations {
			t.Run(helm+"/"+installation.name, func(t *testing.T) {
				arguments := []string{"lint", "--strict", "--quiet", "--kube-version", kubernetes, chart}
				for _, file := range installation.values {
					arguments = append(arguments, "--values", file)
				}
				run(t, "", tool(t, helm), arguments...)
			})
		}
	}
}

// A change of the objects appears as a diff of golden.yaml, which has every option, and can be
// reviewed.
func TestObjectsMatchTheReviewedRendering(t *testing.T) {
	same(t, "golden.yaml", render(t, "helm", allOn))
}

// Both render the same objects, in a different order and with different empty lines.
func TestBothHelmsRenderTheSame(t *testing.T) {
	for _, installation := range installations {
		t.Run(installation.name, func(t *testing.T) {
			want := documents(render(t, "helm", installation.values))
			require.NotEmpty(t, want)
			require.ElementsMatch(t, want, documents(render(t, "helm3", installation.values)))
		})
	}
}

func TestObjectsFitKubernetes(t *testing.T) {
	location := schemas(t)
	for _, installation := range installations {
		t.Run(installation.name, func(t *testing.T) {
			validate(t, location, render(t, "helm", installation.values))
		})
	}
}

// Proves that the test above can fail.
func TestSchemasRejectInvalidObjects(t *testing.T) {
	location := schemas(t)
	for name, object := range map[string]string{
		"a misspelled field":    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: []}\n",
		"a wrong type":          "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {PORT: 8000}\n",
		"a key twice":           "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {A: a, A: b}\n",
		"a misspelled CRD":      "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a}\nspec: {selector: {}, endpoint: []}\n",
		"a kind without schema": "apiVersion: v2\nkind: Service\nmetadata: {name: a}\n",
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := try(t, object, tool(t, "kubeconform"), "-strict", "-schema-location", location)
			require.Error(t, err, out)
		})
	}
}

// schemas returns the location of the schemas for kubeconform.
func schemas(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	command := exec.Command("go", "run", ".", directory)
	command.Dir = "schemas"
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return directory + "/{{.ResourceKind}}{{.KindSuffix}}.json"
}

func validate(t *testing.T, location, objects string) {
	t.Helper()
	run(t, objects, tool(t, "kubeconform"), "-strict", "-schema-location", location)
}

func TestEachOption(t *testing.T) {
	without := "services:\n  user-service: {}\n"
	for _, name := range others(t) {
		without += "  " + name + ": {enabled: false}\n"
	}
	file := filepath.Join(t.TempDir(), "without-others.yaml")
	require.NoError(t, os.WriteFile(file, []byte(without), 0o600))
	run(t, "", tool(t, "helm-unittest"), "--strict", "--color=false", "--values", file, chart)
}

// same compares text with a file, or writes the file with -update.
func same(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		return
	}
	fresh := filepath.Join(t.TempDir(), filepath.Base(file))
	require.NoError(t, os.WriteFile(fresh, []byte(text), 0o644))
	out, err := exec.Command("git", "diff", "--no-index", "--no-color", file, fresh).CombinedOutput()
	require.NoError(t, err, "%s is not up to date; if the change is intended: go test ./test/chart -update\n%s", file, out)
}

var (
	separator  = regexp.MustCompile(`(?m)^---\n`)
	emptyLines = regexp.MustCompile(`\n+`)
)

// documents returns the documents of a rendering without empty lines.
func documents(rendering string) []string {
	var all []string
	for _, document := range separator.Split(rendering, -1) {
		if document = emptyLines.ReplaceAllString(document, "\n"); document != "" && document != "\n" {
			all = append(all, document)
		}
	}
	return all
}
