package chart

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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
