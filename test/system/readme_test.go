package system

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/test/process"
)

// session is the README's, as a reader would paste it.
func session(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)<!-- session.*?-->\n```sh\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, found, "the README has no session")
	return string(found[1])
}

// TestTheSessionOfTheREADME pastes the README's session into a shell, with
// services on free ports in the place of 8000 and 8001.
func TestTheSessionOfTheREADME(t *testing.T) {
	users := startUsers(t)
	orders := process.Start(t, process.Build(t, "order-service"), "DATABASE_URL="+databases["sqlite"](t), "USER_SERVICE_URL="+users.URL)
	text := strings.NewReplacer("localhost:8000", users.Address, "localhost:8001", orders.Address).Replace(session(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail")
	shell.Stdin = strings.NewReader(text)
	out, err := shell.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, want := range []string{
		`"name":"Ada Lovelace","email":"ada@example.com","age":36`,
		`"total_amount":2999.97`,
		`"next_cursor":null`,
		`"status":"confirmed"`,
		`"detail":"an order that is confirmed can't become delivered; it can become shipped, cancelled"`,
		`{"location":"body.user_id","message":"is not the id of a user"}`,
	} {
		require.Contains(t, string(out), want)
	}
}

// TestTheAddressesOfTheREADME: what it calls the documentation is that.
func TestTheAddressesOfTheREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), "http://localhost:8000/docs")
	response, err := httpClient(t).Get(startUsers(t).URL + "/docs")
	require.NoError(t, err)
	page, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Contains(t, string(page), "swagger-ui")
}

// TestLinksLeadSomewhere follows every link from a document of the project to
// a file of it.
func TestLinksLeadSomewhere(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	documents, err := filepath.Glob("../../*.md")
	require.NoError(t, err)
	more, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	decisions, err := filepath.Glob("../../docs/decisions/*.md")
	require.NoError(t, err)
	for _, document := range append(append(documents, more...), decisions...) {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, link := range links.FindAllStringSubmatch(string(text), -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(document), link[1]))
			require.NoError(t, err, "%s has a link to %s", document, link[1])
		}
	}
}
