package delivery

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKnownVulnerabilitiesAreFound uses a database with two vulnerabilities of Gin. Only the one
// in code that the services reach is reported. (A workflow uses the Go project's own database,
// because it changes independently of the code.)
func TestKnownVulnerabilitiesAreFound(t *testing.T) {
	t.Parallel()
	database := vulnerabilities(t, map[string]string{"GO-2000-0001": "New", "GO-2000-0002": "BasicAuth"})
	out, err := try(root, "", "env", "GOVULNDB=file://"+database, ".ci/vulnerabilities")
	require.ErrorContains(t, err, "exit status 3", out)
	require.Contains(t, out, "GO-2000-0001")
	require.NotContains(t, out, "GO-2000-0002")
}

// vulnerabilities creates a database in which functions of Gin are vulnerable, given by the
// vulnerabilities' ids (https://go.dev/doc/security/vuln/database).
func vulnerabilities(t *testing.T, functions map[string]string) string {
	t.Helper()
	const gin, modified = "github.com/gin-gonic/gin", "2000-01-01T00:00:00Z"
	var known []string
	files := map[string]string{"index/db.json": fmt.Sprintf(`{"modified": %q}`, modified)}
	for id, function := range functions {
		known = append(known, fmt.Sprintf(`{"id": %q, "modified": %q}`, id, modified))
		files["ID/"+id+".json"] = fmt.Sprintf(`{
			"schema_version": "1.3.1", "id": %q, "modified": %q, "published": %[2]q, "details": "made up",
			"affected": [{
				"package": {"name": %[3]q, "ecosystem": "Go"},
				"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
				"ecosystem_specific": {"imports": [{"path": %[3]q, "symbols": [%[4]q]}]}
			}],
			"database_specific": {"url": "https://example.com/%[1]s"}
		}`, id, modified, gin, function)
	}
	all := strings.Join(known, ",")
	files["index/vulns.json"] = "[" + all + "]"
	files["index/modules.json"] = fmt.Sprintf(`[{"path": %q, "vulns": [%s]}]`, gin, all)
	folder := t.TempDir()
	for file, content := range files {
		name := filepath.Join(folder, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	}
	return folder
}
