package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/example/microservices/internal/testkit/checkout"
)

// member is a node of a document.
type member = map[string]any

// at returns the object at a path in a document.
func at(document member, path ...string) member {
	for _, name := range path {
		document = document[name].(member)
	}
	return document
}

const (
	usersPath = "/api/v1/users"
	userPath  = "/api/v1/users/{user_id}"
)

// schema returns the properties of a schema, and adds required ones.
func schema(document member, name string, required ...any) member {
	s := at(document, "components", "schemas", name)
	s["required"] = append(s["required"].([]any), required...)
	return at(s, "properties")
}

// TestBreakingChangesFailTheCheck changes the previous version's document, and runs
// .ci/compatible on the result.
func TestBreakingChangesFailTheCheck(t *testing.T) {
	t.Parallel()
	tool(t, "oasdiff")
	folder := checkout.New(t, root)
	document := filepath.Join(folder, "services/user-service/openapi.yaml")
	committed, err := os.ReadFile(document)
	require.NoError(t, err)
	change := func(f func(member)) {
		var tree member
		require.NoError(t, yaml.Unmarshal(committed, &tree))
		f(tree)
		text, err := yaml.Marshal(tree)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(document, text, 0o600))
	}
	// The previous version has a deprecated operation past its sunset, and one before it.
	change(func(d member) {
		for path, sunset := range map[string]string{"/api/v0/users": "2020-01-01", "/api/v0/teams": "9999-01-01"} {
			at(d, "paths")[path] = member{"get": member{
				"deprecated": true, "x-sunset": sunset, "responses": member{"204": member{"description": "None"}},
			}}
		}
	})
	committed, err = os.ReadFile(document)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "test/versions/previous"), []byte("before\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, ".ci/compatible-ignore.txt"), nil, 0o600))
	run(t, folder, nil, "git", "commit", "--quiet", "--all", "--message", "Release")
	run(t, folder, nil, "git", "tag", "before")

	for name, row := range map[string]struct {
		breaks string // expected in the report; "": compatible
		change func(member)
	}{
		"nothing":                   {"", func(member) {}},
		"a new optional member":     {"", func(d member) { schema(d, "NewUser")["phone"] = member{"type": "string"} }},
		"a new member to read":      {"", func(d member) { schema(d, "User", "phone")["phone"] = member{"type": "string"} }},
		"a new operation":           {"", func(d member) { at(d, "paths")["/api/v2/users"] = at(d, "paths", usersPath) }},
		"deprecation":               {"", func(d member) { at(d, "paths", userPath, "get")["deprecated"] = true }},
		"removed after its sunset":  {"", func(d member) { delete(at(d, "paths"), "/api/v0/users") }},
		"removed before its sunset": {"/api/v0/teams", func(d member) { delete(at(d, "paths"), "/api/v0/teams") }},
		"a removed operation":       {userPath, func(d member) { delete(at(d, "paths", userPath), "delete") }},
		"a new required member":     {"phone", func(d member) { schema(d, "NewUser", "phone")["phone"] = member{"type": "string"} }},
		"a removed member":          {"email", func(d member) { delete(schema(d, "NewUser"), "email") }},
		"a removed member to read": {"age", func(d member) {
			delete(schema(d, "User"), "age")
			at(d, "components", "schemas", "User")["required"] = []any{"id", "name", "email", "created_at", "updated_at"}
		}},
		"a changed type":   {"age", func(d member) { at(schema(d, "User"), "age")["type"] = "string" }},
		"a narrower bound": {"age", func(d member) { at(schema(d, "NewUser"), "age")["maximum"] = 99 }},
	} {
		change(row.change)
		said, err := compatible(folder)
		if row.breaks == "" {
			require.NoError(t, err, "%s: %s", name, said)
			continue
		}
		require.Error(t, err, name)
		require.Contains(t, said, row.breaks, name)
	}

	require.NoError(t, os.Remove(document))
	said, err := compatible(folder)
	require.Error(t, err, "the document is missing")
	require.Contains(t, said, userPath)

	// CI may have a clone of the newest commit only.
	require.NoError(t, os.WriteFile(document, committed, 0o600))
	change(func(d member) { schema(d, "NewUser", "phone")["phone"] = member{"type": "string"} })
	run(t, folder, nil, "git", "commit", "--quiet", "--all", "--message", "Break it")
	shallow := filepath.Join(t.TempDir(), "shallow")
	run(t, folder, nil, "git", "clone", "--quiet", "--depth=1", "--no-tags", "file://"+folder, shallow)
	said, err = compatible(shallow)
	require.Error(t, err)
	require.Contains(t, said, "phone")

	before := strings.TrimSpace(run(t, folder, nil, "git", "rev-parse", "before:services/user-service/openapi.yaml"))
	require.NoError(t, os.Remove(filepath.Join(folder, ".git/objects", before[:2], before[2:])))
	said, err = compatible(folder)
	require.Error(t, err, "the previous document is missing")
	require.Contains(t, said, "fatal:")
}

func compatible(folder string) (said string, err error) {
	command := exec.Command(filepath.Join(root, ".ci/compatible"), folder)
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
