package system

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
	"github.com/example/microservices/internal/testkit/session"
)

// TestTheSessionOfTheREADME runs it with services on free ports.
func TestTheSessionOfTheREADME(t *testing.T) {
	users := startUsers(t)
	orders := process.Start(t, process.Build(t, "order-service"), "DATABASE_URL="+databases["sqlite"](t), "USER_SERVICE_URL="+users.URL)
	session.Run(t, "../..", users.Address, orders.Address)
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
