package apitest

import (
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDocument compares the document that a service serves with the committed one in
// file. They must be equal with authentication; without it, the served one must not
// mention tokens. start starts the service with the given AUTH_ISSUERS, and returns its
// address.
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
