package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/catalog"
	programs "github.com/example/microservices/internal/testkit/process"
)

// withEnvironment starts a real service like make run AUTH=on.
func withEnvironment(t *testing.T, s settings, service catalog.Service, more ...string) *programs.Process {
	t.Helper()
	env, err := s.authEnvironment(service)
	require.NoError(t, err)
	return programs.Start(t, programs.Build(t, service.Name), append(append(env, "DATABASE_URL=sqlite://"+filepath.Join(t.TempDir(), "test.db")), more...)...)
}

func TestTokensOfMakeTokenAreAccepted(t *testing.T) {
	s := settings{services: two(t), dataDir: t.TempDir(), auth: true}
	users := withEnvironment(t, s, s.services[0])
	orders := withEnvironment(t, s, s.services[1], "USER_SERVICE_URL="+users.URL)

	out, said, err := makeToken("DATA_DIR=" + s.dataDir)
	require.NoError(t, err, said)
	token := strings.TrimSpace(out)
	require.Len(t, strings.Split(token, "."), 3, "the output must be only a token")
	const subject = "00000000-0000-4000-8000-000000000001"

	send := func(method, url, body, token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		read, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(read)
	}
	const user = `{"name":"Ada","email":"ada@example.com"}`
	order := `{"user_id":"` + subject + `","shipping_address":"x","items":[{"product_id":"p","product_name":"P","quantity":1,"price":1}]}`
	status, _ := send(http.MethodPost, users.URL+"/api/v1/users", user, "")
	require.Equal(t, http.StatusUnauthorized, status)
	status, body := send(http.MethodPost, users.URL+"/api/v1/users", user, token)
	require.Equal(t, http.StatusCreated, status, body)
	require.Contains(t, body, subject)
	status, body = send(http.MethodPost, orders.URL+"/api/v1/orders", order, token)
	require.Equal(t, http.StatusCreated, status, "order-service must have its own token: %s", body)

	info, err := os.Stat(filepath.Join(s.dataDir, "issuer", "key.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestMakeTokenRejectsUnusableTokens(t *testing.T) {
	for name, row := range map[string]struct{ variable, says string }{
		"an invalid subject":   {"SUBJECT=ada", `the subject "ada" is not a UUID, such as 00000000-0000-4000-8000-000000000001`},
		"an unknown scope":     {"SCOPES=users:read users:raed", `there is no scope "users:raed"; known are users:read, users:write, `},
		"a scope with a comma": {"SCOPES=users:read,users:write", `there is no scope "users:read,users:write"; known are`},
	} {
		t.Run(name, func(t *testing.T) {
			out, said, err := makeToken("DATA_DIR="+t.TempDir(), row.variable)
			require.Error(t, err)
			require.Empty(t, out)
			require.Contains(t, said, "token: "+row.says)
		})
	}
}

// makeToken runs make token, and returns its stdout and stderr.
func makeToken(variables ...string) (out, said string, err error) {
	command := exec.Command("make", append([]string{"token"}, variables...)...)
	command.Dir = "../.."
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "MAKE") || strings.HasPrefix(variable, "MFLAGS=")
	})
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	return stdout.String(), stderr.String(), err
}

func TestWithoutAUTHTheServicesAreOpen(t *testing.T) {
	env, err := settings{dataDir: t.TempDir()}.authEnvironment(two(t)[0])
	require.NoError(t, err)
	require.Empty(t, env)
}
