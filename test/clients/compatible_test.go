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

// at returns what is at a place in a document.
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

// schema returns the properties of a schema, and adds to what is required.
func schema(document member, name string, required ...any) member {
	s := at(document, "components", "schemas", name)
	s["required"] = append(s["required"].([]any), required...)
	return at(s, "properties")
}

// TestWhatBreaksClientsFailsTheGate changes a document as it was in the version before,
// and has .ci/compatible look at it.
func TestWhatBreaksClientsFailsTheGate(t *testing.T) {
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
	// The version before has an operation that went away long ago, and one that will.
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
		breaks string // what is said of it; nothing: it breaks nobody
		change func(member)
	}{
		"nothing":                  {"", func(member) {}},
		"a new optional member":    {"", func(d member) { schema(d, "NewUser")["phone"] = member{"type": "string"} }},
		"a new member to read":     {"", func(d member) { schema(d, "User", "phone")["phone"] = member{"type": "string"} }},
		"a new operation":          {"", func(d member) { at(d, "paths")["/api/v2/users"] = at(d, "paths", usersPath) }},
		"deprecation":              {"", func(d member) { at(d, "paths", userPath, "get")["deprecated"] = true }},
		"what was deprecated goes": {"", func(d member) { delete(at(d, "paths"), "/api/v0/users") }},
		"it goes before its time":  {"/api/v0/teams", func(d member) { delete(at(d, "paths"), "/api/v0/teams") }},
		"an operation is gone":     {userPath, func(d member) { delete(at(d, "paths", userPath), "delete") }},
		"a new required member":    {"phone", func(d member) { schema(d, "NewUser", "phone")["phone"] = member{"type": "string"} }},
		"a member is gone":         {"email", func(d member) { delete(schema(d, "NewUser"), "email") }},
		"a member to read is gone": {"age", func(d member) {
			delete(schema(d, "User"), "age")
			at(d, "components", "schemas", "User")["required"] = []any{"id", "name", "email", "created_at", "updated_at"}
		}},
		"a type is another":   {"age", func(d member) { at(schema(d, "User"), "age")["type"] = "string" }},
		"a bound is narrower": {"age", func(d member) { at(schema(d, "NewUser"), "age")["maximum"] = 99 }},
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
	require.Error(t, err, "the document is gone")
	require.Contains(t, said, userPath)

	// CI may clone the newest commit only.
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
	require.Error(t, err, "the document as it was can't be read")
	require.Contains(t, said, "fatal:")
}

func compatible(folder string) (said string, err error) {
	command := exec.Command(filepath.Join(root, ".ci/compatible"), folder)
	out, err := command.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
