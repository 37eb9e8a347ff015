package process

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// CreateUser creates a user in a running user-service, and returns the id.
func CreateUser(t testing.TB, userService *Process) string {
	t.Helper()
	body := `{"name":"Ada Lovelace","email":"` + uuid.NewString() + `@example.com"}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, userService.URL+"/api/v1/users", strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusCreated, response.StatusCode)
	var user struct{ ID string }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&user))
	return user.ID
}
