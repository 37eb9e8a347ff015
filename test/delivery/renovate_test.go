package delivery

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
	paths := 0
	for line := range strings.Lines(read(t, root, ".github/CODEOWNERS")) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" || fields[0] == "*" {
			continue
		}
		paths++
		require.Len(t, fields, 2, line)
		require.NotEmpty(t, must(t, root, "git", "ls-files", "--cached", "--others", "--exclude-standard", ":(glob)"+strings.Trim(fields[0], "/")+map[bool]string{true: "**"}[strings.HasSuffix(fields[0], "/")]), line)
	}
	require.NotZero(t, paths)
}
