package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// tracked returns the repository's files, including untracked ones that aren't ignored.
func tracked(t *testing.T) []string {
	t.Helper()
	command := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	command.Dir = root
	out, err := command.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s#]*)(#[^)\s]*)?\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	unlinked = regexp.MustCompile(`[^\p{L}\p{N} _-]`) // left out of a heading's link
	document = regexp.MustCompile(`\bdocs/[a-z/-]+\.md\b`)
)

// TestLinksLeadSomewhere: every page of docs/ that a file names exists, and every target of a
// page's links to other files.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, file := range tracked(t) {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil || strings.ContainsRune(string(content), 0) || strings.HasPrefix(file, "test/chart/") {
			continue
		}
		for _, name := range document.FindAllString(string(content), -1) {
			require.FileExists(t, filepath.Join(root, name), "%s names it", file)
		}
		if !strings.HasSuffix(file, ".md") && !strings.HasSuffix(file, ".gotmpl") {
			continue
		}
		for _, found := range link.FindAllStringSubmatch(string(content), -1) {
			if strings.Contains(found[1], "://") || strings.HasPrefix(found[1], "mailto:") {
				continue
			}
			target := filepath.Join(root, filepath.Dir(file), found[1])
			if found[1] == "" { // this page
				target = filepath.Join(root, file)
			}
			require.True(t, exists(target), "%s links to %s", file, found[1])
			if found[2] != "" {
				content, err := os.ReadFile(target)
				require.NoError(t, err)
				require.Contains(t, anchors(string(content)), found[2], "%s links to a heading of %s", file, target)
			}
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// anchors returns the links to a page's headings, as GitHub names them.
func anchors(page string) (links []string) {
	for _, found := range heading.FindAllStringSubmatch(page, -1) {
		kept := unlinked.ReplaceAllString(strings.ToLower(found[1]), "")
		links = append(links, "#"+strings.ReplaceAll(kept, " ", "-"))
	}
	return links
}

// TestFilesThatPagesNameExist: every file that a page names exists, in the project or in a
// service.
func TestFilesThatPagesNameExist(t *testing.T) {
	named := regexp.MustCompile("`((?:services|pkg|cmd|internal|test|bench|charts|k8s|argocd)/[\\w./-]+)`")
	toBeMade := regexp.MustCompile(`/inventory-service|internal/item|/NAME/`) // to be created by the reader
	seen := 0
	for _, file := range tracked(t) {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil || !strings.HasSuffix(file, ".md") {
			continue
		}
		for _, found := range named.FindAllStringSubmatch(string(content), -1) {
			if toBeMade.MatchString(found[1]) {
				continue
			}
			seen++
			there, err := filepath.Glob(filepath.Join(root, found[1]))
			require.NoError(t, err)
			inService, err := filepath.Glob(filepath.Join(root, "services/*", found[1]))
			require.NoError(t, err)
			require.NotEmpty(t, append(there, inService...), "%s names %s", file, found[1])
		}
	}
	require.Positive(t, seen)
}

func TestTestsThatPagesNameExist(t *testing.T) {
	named, declared := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)"), regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	pages, tests := map[string]string{}, map[string]bool{"TestName": true} // a placeholder in make test RUN=TestName
	for _, file := range tracked(t) {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			continue
		}
		switch {
		case strings.HasSuffix(file, ".md"):
			for _, found := range named.FindAllStringSubmatch(string(content), -1) {
				pages[found[1]] = file
			}
		case strings.HasSuffix(file, "_test.go"):
			for _, found := range declared.FindAllStringSubmatch(string(content), -1) {
				tests[found[1]] = true
			}
		}
	}
	require.NotEmpty(t, pages)
	for name, page := range pages {
		require.True(t, tests[name], "%s names %s", page, name)
	}
}

// TestActionsArePinnedAndCurrent: actions are pinned by commit, and recent enough for Node 24,
// the oldest version on GitHub's runners.
func TestActionsArePinnedAndCurrent(t *testing.T) {
	oldest := map[string]int{"actions/attest": 4, "actions/checkout": 5, "actions/setup-go": 6}
	uses := regexp.MustCompile(`(?m)uses: ([^.\s@]+)@(\S+)(?: # v(\d+)\.\d+\.\d+)?$`)
	files, err := filepath.Glob(root + "/.github/workflows/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range uses.FindAllStringSubmatch(string(content), -1) {
			require.Regexp(t, "^[0-9a-f]{40}$", found[2], "%s: %s", file, found[1])
			require.Contains(t, oldest, found[1], "%s: add the oldest version that runs on a current Node here", file)
			version, err := strconv.Atoi(found[3])
			require.NoError(t, err, "%s: write the version after the commit: %s", file, found[0])
			require.GreaterOrEqual(t, version, oldest[found[1]], "%s: %s", file, found[1])
		}
	}
}

// TestSkaffoldsTrialsStayOutOfArgoCDsNamespaces: no profile of Skaffold but prod installs into a
// namespace that Argo CD manages.
func TestSkaffoldsTrialsStayOutOfArgoCDsNamespaces(t *testing.T) {
	var project struct {
		Spec struct {
			Destinations []struct{ Namespace string }
		}
	}
	content, err := os.ReadFile(root + "/argocd/project.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal([]byte(separator.Split(string(content), 2)[0]), &project))
	require.Len(t, project.Spec.Destinations, 3)
	var kept []string
	for _, destination := range project.Spec.Destinations {
		kept = append(kept, destination.Namespace)
	}
	var skaffold struct {
		Profiles []struct {
			Name    string
			Patches []struct {
				Path  string
				Value any
			}
		}
	}
	content, err = os.ReadFile(root + "/skaffold.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, &skaffold))
	for _, profile := range skaffold.Profiles {
		for _, patch := range profile.Patches {
			if profile.Name != "prod" && strings.HasSuffix(patch.Path, "/namespace") {
				require.False(t, slices.Contains(kept, patch.Value.(string)), "profile %s installs into %v", profile.Name, patch.Value)
			}
		}
	}
}
