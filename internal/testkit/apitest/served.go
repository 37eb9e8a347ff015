package apitest

import (
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocument compares what a service serves with the document that is committed,
// file: the same where tokens are asked for, and without what is about tokens where none
// are. start starts the service with these AUTH_ISSUERS, and returns where it is.
func TestDocument(t *testing.T, file string, start func(issuers string) (address string)) {
	committed, err := os.ReadFile(file)
	require.NoError(t, err)
	guarded := served(t, start(NewIssuers(t, "anything", "a:scope").Setting))
	require.Equal(t, string(committed), guarded, "%s is not current: make generate", file)
	open := served(t, start(""))
	require.Contains(t, guarded, "security:")
	for _, none := range []string{"security:", "securitySchemes:", "WWW-Authenticate:"} {
		require.NotContains(t, open, none, "no token is needed")
	}
}

func served(t *testing.T, address string) string {
	response, err := http.Get("http://" + address + "/openapi.yaml")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
