package apitest

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
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
	if string(committed) != guarded { // without printing both
		require.Fail(t, file+" is not current: make generate", strings.Join(changedLines(string(committed), guarded), "\n"))
	}
	open := served(t, start(""))
	require.Contains(t, guarded, "security:")
	for _, none := range []string{"security:", "securitySchemes:", "WWW-Authenticate:"} {
		require.NotContains(t, open, none, "no token is needed")
	}
}

// changedLines returns the lines that only one of two documents has.
func changedLines(a, b string) (changed []string) {
	for sign, pair := range map[string][2]string{"-": {a, b}, "+": {b, a}} {
		other := strings.Split(pair[1], "\n")
		for line := range strings.SplitSeq(pair[0], "\n") {
			if !slices.Contains(other, line) {
				changed = append(changed, sign+line)
			}
		}
	}
	return changed
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
