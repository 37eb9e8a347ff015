package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestManifestsOutsideTheChartFitTheirSchemas checks the manifests that users apply by hand, and
// those for Argo CD, including its addons.
func TestManifestsOutsideTheChartFitTheirSchemas(t *testing.T) {
	location := schemas(t)
	for _, pattern := range []string{"k8s/*.yaml", "k8s/policies/*.yaml"} {
		files, err := filepath.Glob(root + "/" + pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			if filepath.Base(file) == "kind.yaml" { // kind's configuration, not an object
				continue
			}
			t.Run(filepath.Base(file), func(t *testing.T) {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				validate(t, location, string(text))
			})
		}
	}
	for _, folder := range []string{"argocd", "argocd/addons"} {
		t.Run(folder, func(t *testing.T) {
			validate(t, location, run(t, "", tool(t, "kustomize"), "build", root+"/"+folder))
		})
	}
}

// TestArgoCDMayInstallWhatTheChartRenders: the AppProject allows the kinds of objects in the chart's
// templates, and no other kind. It reads the templates, because a rendering has only the kinds of
// its values.
func TestArgoCDMayInstallWhatTheChartRenders(t *testing.T) {
	templates, err := filepath.Glob(chart + "/templates/*.yaml")
	require.NoError(t, err)
	header := regexp.MustCompile(`(?m)^apiVersion: (.+)\nkind: (.+)$`)
	rendered := map[string]bool{}
	for _, file := range templates { // not templates/tests: Argo CD skips the hooks of helm test
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		found := header.FindAllStringSubmatch(string(content), -1)
		require.Len(t, found, strings.Count("\n"+string(content), "\nkind: "), file)
		for _, object := range found {
			group, _, isGroup := strings.Cut(object[1], "/")
			if !isGroup {
				group = ""
			}
			rendered[group+" "+object[2]] = true
		}
	}
	// earlier.yaml renders ConfigMaps and Secrets of earlier revisions.
	delete(rendered, " {{ .kind }}")
	require.Contains(t, rendered, " ConfigMap")
	require.Contains(t, rendered, " Secret")

	var project struct {
		Spec struct {
			NamespaceResourceWhitelist []struct{ Group, Kind string } `yaml:"namespaceResourceWhitelist"`
		}
	}
	content, err := os.ReadFile(root + "/argocd/project.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal([]byte(separator.Split(string(content), 2)[0]), &project))
	allowed := map[string]bool{}
	for _, object := range project.Spec.NamespaceResourceWhitelist {
		allowed[object.Group+" "+object.Kind] = true
	}
	require.Equal(t, rendered, allowed)
}
