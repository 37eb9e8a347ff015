package system

import (
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
	"github.com/example/microservices/internal/testkit/session"
)

// TestTheSessionOfTheREADME runs the README's session with services on free ports.
func TestTheSessionOfTheREADME(t *testing.T) {
	users := startUsers(t)
	orders := process.Start(t, process.Build(t, "order-service"), "DATABASE_URL="+databases["sqlite"](t), "USER_SERVICE_URL="+users.URL)
	session.Run(t, "../..", users.Address, orders.Address)
}

// TestTheAddressesOfTheREADME: the addresses of the documentation in the README are right.
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
