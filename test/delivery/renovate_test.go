package delivery

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestRenovateFindsWhatIsPinned: each pattern matches files, and versions in them. Otherwise
// nothing would be updated, without an error.
func TestRenovateFindsWhatIsPinned(t *testing.T) {
	type manager struct{ ManagerFilePatterns, MatchStrings []string }
	var config struct {
		ArgoCD, Kubernetes manager
		DockerCompose      manager `json:"docker-compose"`
		CustomManagers     []manager
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, root, ".github/renovate.json")), &config))
	files := strings.Fields(must(t, root, "git", "ls-files", "--cached", "--others", "--exclude-standard"))
	found := func(m manager) (matching []string) {
		require.NotEmpty(t, m.ManagerFilePatterns)
		for _, pattern := range m.ManagerFilePatterns {
			require.Regexp(t, "^/.+/$", pattern, "a regular expression is between slashes")
			expression := regexp.MustCompile(strings.Trim(pattern, "/"))
			for _, file := range files {
				if expression.MatchString(file) {
					matching = append(matching, file)
				}
			}
		}
		return matching
	}
	require.Subset(t, found(config.ArgoCD), []string{"argocd/addons/logs.yaml", "argocd/addons/gateway.yaml"})
	require.Subset(t, found(config.Kubernetes), []string{"k8s/database.yaml", "k8s/logs.yaml"})
	require.Contains(t, found(config.DockerCompose), "docker-compose.yml")
	require.NotEmpty(t, config.CustomManagers)
	for _, m := range config.CustomManagers {
		matching := found(m)
		require.NotEmpty(t, matching, m.ManagerFilePatterns)
		for _, file := range matching {
			for _, text := range m.MatchStrings {
				require.NotNil(t, regexp.MustCompile(text).FindStringSubmatch(read(t, root, file)), "%s in %s", text, file)
			}
		}
	}
}

func TestEveryPathOfCODEOWNERSHasFiles(t *testing.T) {
	var paths []string
	for line := range strings.Lines(read(t, root, ".github/CODEOWNERS")) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" || fields[0] == "*" {
			continue
		}
		paths = append(paths, fields[0])
		require.Len(t, fields, 2, line)
		require.NotEmpty(t, must(t, root, "git", "ls-files", "--cached", "--others", "--exclude-standard", ":(glob)"+strings.Trim(fields[0], "/")+map[bool]string{true: "**"}[strings.HasSuffix(fields[0], "/")]), line)
	}
	require.Subset(t, paths, []string{"/argocd/", "/.github/"}, "these decide what runs on the clusters")
}

// TestIssueFormsAreValid: GitHub silently drops a form that it can't parse.
func TestIssueFormsAreValid(t *testing.T) {
	forms, err := filepath.Glob(root + "/.github/ISSUE_TEMPLATE/*.yml")
	require.NoError(t, err)
	require.Greater(t, len(forms), 1)
	for _, form := range forms {
		var decoded struct {
			Name, Description string
			Body              []struct {
				Type       string
				ID         string
				Attributes struct{ Label string }
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(read(t, root, ".github/ISSUE_TEMPLATE/"+filepath.Base(form))), &decoded), form)
		if filepath.Base(form) == "config.yml" {
			continue
		}
		require.NotEmpty(t, decoded.Name, form)
		require.NotEmpty(t, decoded.Description, form)
		require.NotEmpty(t, decoded.Body, form)
		for _, field := range decoded.Body {
			require.Contains(t, []string{"markdown", "textarea", "input", "dropdown", "checkboxes"}, field.Type, form)
			require.True(t, field.Type == "markdown" || field.ID != "" && field.Attributes.Label != "", "%s: a field without id or label", form)
		}
	}
}
