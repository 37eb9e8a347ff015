package versions

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/checkout"
	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

func TestMain(m *testing.M) { postgres.Exit(m.Run()) }

// TestTheTutorialAddsAField applies the change of docs/add-a-field.md to a copy of the
// project. The tests of the field pass, and fail if a line of it is forgotten. Both versions
// run on the new schema.
func TestTheTutorialAddsAField(t *testing.T) {
	t.Parallel()
	folder := checkout.New(t, root)
	absolute, err := filepath.Abs(root + "/docs/add-a-field.diff")
	require.NoError(t, err)
	run(t, folder, nil, "git", "apply", "--index", absolute) // if this fails, make the change again, and write its difference there
	run(t, folder, nil, ".ci/generate")
	require.Empty(t, output(t, folder, "gofmt", "-l", "services/user-service"))
	tests := func(packages string) []string {
		return []string{"test", "-count=1", "-run", "^(TestStore|TestValidUsers|TestInvalidCreations|TestEveryFieldIsSetAndChanged|TestTheDocumentIsCurrent)$", packages}
	}
	run(t, folder, nil, "go", tests("./services/user-service/...")...)

	t.Run("a forgotten line fails a test", func(t *testing.T) {
		run(t, folder, nil, "git", "commit", "--quiet", "--all", "--message", "Add phone")
		const service = "./services/user-service"
		for _, c := range []struct{ file, line, packages, fails string }{
			{"/internal/store/sqlite/store.go", `s/, Phone: r.Text(8)//`, "/internal/store/sqlite", "TestStore"},
			{"/internal/store/sqlite/store.go", `s/, u.UpdatedAt, u.Phone)/, u.UpdatedAt, "")/`, "/internal/store/sqlite", "TestStore"},
			{"/internal/store/sqlite/store.go", `s/u.Age, u.Phone, u.Version/u.Age, "x", u.Version/`, "/internal/store/sqlite", "TestStore"},
			{"/internal/user/rules.go", `s/ && a.Phone == b.Phone//`, "", "TestEveryFieldIsSetAndChanged"},
			{"/internal/api/wire.go", `s/, Phone: c.Phone.Ptr()//`, "", "TestEveryFieldIsSetAndChanged"},
			{"/internal/api/wire.go", `s/, Phone: n.Phone.Value//`, "", "TestEveryFieldIsSetAndChanged"},
		} {
			run(t, folder, nil, "sed", "-i", c.line, service+c.file)
			require.NotEmpty(t, output(t, folder, "git", "diff", "--name-only"), c.line)
			said, err := try(t, folder, nil, "go", tests(service+c.packages)...)
			require.Error(t, err, c.line)
			require.Contains(t, said, "--- FAIL: "+c.fails, c.line)
			run(t, folder, nil, "git", "checkout", "--quiet", service+c.file)
		}
	})

	before, after := binaries(t, root), binaries(t, folder)
	for name, database := range map[string]string{"sqlite": "sqlite://" + filepath.Join(t.TempDir(), "users.db"), "postgres": postgres.New(t)} {
		t.Run("both versions use the new schema of "+name, func(t *testing.T) {
			start := func(version string) *process.Process {
				return process.Start(t, filepath.Join(version, "user-service"), "DATABASE_URL="+database)
			}
			p := start(before)
			created := send(t, p, http.MethodPost, "/api/v1/users", `{"name":"Ada","email":"ada@example.com"}`)
			_, id, _ := strings.Cut(created, `"id":"`)
			path := "/api/v1/users/" + id[:36]
			p.Kill()
			p = start(after)
			require.Contains(t, send(t, p, http.MethodGet, path, ""), `"phone":""`)
			require.Contains(t, send(t, p, http.MethodPatch, path, `{"phone":"+44 20 7946 0000"}`), `"phone":"+44 20 7946 0000"`)
			p.Kill()
			p = start(before)
			require.NotContains(t, send(t, p, http.MethodPatch, path, `{"name":"Grace"}`), "phone")
			send(t, p, http.MethodPost, "/api/v1/users", `{"name":"Bob","email":"bob@example.com"}`)
			p.Kill()
			require.Contains(t, send(t, start(after), http.MethodGet, path, ""), `"phone":"+44 20 7946 0000"`)
		})
	}
}

// send sends a request and returns the body of its answer, which must be a success.
func send(t *testing.T, p *process.Process, method, path, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, 2, response.StatusCode/100, "%s", answer)
	return string(answer)
}
