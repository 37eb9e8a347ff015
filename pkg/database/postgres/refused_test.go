package postgres

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/database"
)

// TestARejectionAppliesToThePasswordThatWasSent: when the server rejects a password, the file
// may already have a new one, which must be tried.
func TestARejectionAppliesToThePasswordThatWasSent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	c, err := pgxpool.ParseConfig("postgres://app@localhost/shop")
	require.NoError(t, err)
	(&login{Login: database.Login{PasswordFile: file}}).use(c)
	connect := func(password string) (*pgconn.Config, error) {
		require.NoError(t, os.WriteFile(file, []byte(password), 0o600))
		connection := c.ConnConfig.Copy()
		return &connection.Config, c.BeforeConnect(t.Context(), connection)
	}
	first, err := connect("old")
	require.NoError(t, err)
	_, err = connect("new")
	require.NoError(t, err)
	refusal := &pgconn.PgError{Severity: "FATAL", Code: "28P01"}
	require.False(t, first.OnPgError(nil, refusal), "the connection is closed")
	_, err = connect("new")
	require.NoError(t, err)
	_, err = connect("old")
	require.ErrorIs(t, err, refusal, "the rejected password isn't sent again so soon")
}
