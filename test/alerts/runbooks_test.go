package alerts

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const runbookFolder = root + "/docs/runbooks"

// runbooks returns the runbooks' texts by the names of their alerts.
func runbooks(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(runbookFolder + "/*.md")
	require.NoError(t, err)
	all := map[string]string{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		if name == "README" {
			continue
		}
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		all[name] = string(b)
	}
	return all
}

func TestAlertsAndRunbooksBelongTogether(t *testing.T) {
	index, err := os.ReadFile(runbookFolder + "/README.md")
	require.NoError(t, err)
	var named []string
	for name, text := range runbooks(t) {
		named = append(named, name)
		require.True(t, strings.HasPrefix(text, "# "+name+"\n"), "%s.md must begin with its alert's name", name)
		require.Contains(t, string(index), "]("+name+".md)", "the index")
	}
	require.ElementsMatch(t, alerts(t), named)
}

var (
	begin  = regexp.MustCompile("^# [A-Za-z]+\n\n```promql\n")
	block  = regexp.MustCompile("(?ms)^```promql\n(.*?)\n```$")
	inline = regexp.MustCompile("`([^`\n]+)`")
	// asks distinguishes queries from other code: a query has a range or a comparison, or is a
	// metric of Go or of the process.
	asks = regexp.MustCompile(`\[[0-9]+[smhd]\]| [=!<>]=? [0-9]|^(go|process)_[a-z_]+$`)
)

// queries returns the queries of a runbook: the first one, and those in its text.
func queries(t *testing.T, name, text string) []string {
	t.Helper()
	require.Regexp(t, begin, text, "%s.md must begin with its name and a block of promql", name)
	var all []string
	for _, match := range block.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	for _, match := range inline.FindAllStringSubmatch(block.ReplaceAllString(text, ""), -1) {
		if asks.MatchString(match[1]) {
			all = append(all, match[1])
		}
	}
	return all
}

// elsewhere are the metrics that the services' code doesn't define: those of Prometheus, and of
// the collectors of its client library.
var elsewhere = map[string]bool{
	"up": true, "process_resident_memory_bytes": true, "process_start_time_seconds": true, "go_gc_gomemlimit_bytes": true,
	"process_cpu_seconds_total": true, "go_goroutines": true, "go_memstats_sys_bytes": true,
}

var (
	documented = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")
	suffix     = regexp.MustCompile(`_(bucket|count|sum)$`)
)

// A rule about a metric that doesn't exist would never fire.
func TestEachMetricExists(t *testing.T) {
	list, err := os.ReadFile(root + "/docs/metrics.md") // generated from the registries
	require.NoError(t, err)
	known := maps.Clone(elsewhere)
	for _, match := range documented.FindAllSubmatch(list, -1) {
		known[string(match[1])] = true
	}
	expressions := map[string]string{}
	for _, r := range rules(t) {
		if r.Record != "" {
			known[r.Record] = true
		}
		expressions[r.Expr] = r.Alert + r.Record
	}
	for name, text := range runbooks(t) {
		for _, query := range queries(t, name, text) {
			expressions[query] = name + ".md"
		}
	}
	p := parser(t)
	for expression, of := range expressions {
		selectors := p.Parse(t, expression).Selectors()
		require.NotEmpty(t, selectors, of)
		for _, s := range selectors {
			require.True(t, known[s.Name] || known[suffix.ReplaceAllString(s.Name, "")], "%s, in %s, is not a metric of the services", s.Name, of)
		}
	}
}

var search = regexp.MustCompile(`grep (?:"([^"]+)"|'([^'"]+)')`)

// TestRunbooksSearchForLoggedTexts: a runbook's grep finds nothing if the message was
// reworded.
func TestRunbooksSearchForLoggedTexts(t *testing.T) {
	var code strings.Builder
	for _, folder := range []string{"pkg", "services"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			code.Write(b)
			return err
		}))
	}
	found := 0
	for name, text := range runbooks(t) {
		for _, match := range search.FindAllStringSubmatch(text, -1) {
			require.Contains(t, code.String(), match[1]+match[2], name)
			found++
		}
	}
	require.NotZero(t, found)
}
