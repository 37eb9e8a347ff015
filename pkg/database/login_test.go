package database_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/database"
)

func TestALoginOutsideTheAddress(t *testing.T) {
	file, empty := filepath.Join(t.TempDir(), "password"), filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(file, []byte(canary+"\n"), 0o600))
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	const bare, full = "postgres://db/shop", "postgres://ada:" + canary + "@db/shop"
	for name, row := range map[string]struct {
		address string
		login   database.Login
		says    string // "": valid
	}{
		"all in the address":            {full, database.Login{}, ""},
		"nothing in it":                 {bare, database.Login{User: "ada", PasswordFile: file}, ""},
		"the user in it":                {"postgres://ada@db/shop", database.Login{Password: canary}, ""},
		"the password in it":            {"postgres://:x@db/shop", database.Login{User: "ada"}, ""},
		"SQLite":                        {"sqlite://x.db", database.Login{TLS: "required"}, ""},
		"two users":                     {"postgres://ada@db/shop", database.Login{User: canary}, "DATABASE_USER and the user in DATABASE_URL are both set"},
		"two users, one as a parameter": {"postgres://db/shop?user=ada", database.Login{User: canary}, "DATABASE_USER and the user in DATABASE_URL are both set"},
		"two passwords":                 {full, database.Login{Password: canary}, "the password in DATABASE_URL are both set"},
		"two, one as a parameter":       {bare + "?password=" + canary, database.Login{PasswordFile: file}, "the password in DATABASE_URL are both set"},
		"two outside it":                {bare, database.Login{Password: canary, PasswordFile: file}, "DATABASE_PASSWORD and DATABASE_PASSWORD_FILE are both set"},
		"a missing file":                {bare, database.Login{PasswordFile: "/" + canary}, "DATABASE_PASSWORD_FILE can't be read: no such file or directory"},
		"a folder":                      {bare, database.Login{PasswordFile: t.TempDir()}, "DATABASE_PASSWORD_FILE can't be read: is a directory"},
		"an empty file":                 {bare, database.Login{PasswordFile: empty}, "DATABASE_PASSWORD_FILE names an empty file"},
		"a login for a file":            {"sqlite://x.db", database.Login{User: canary}, "DATABASE_URL is SQLite"},
		"an address that is wrong":      {canary, database.Login{}, "DATABASE_URL must be postgres://"},
	} {
		t.Run(name, func(t *testing.T) {
			err := row.login.Check(row.address)
			if row.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), canary)
		})
	}
}

// TestUnencryptedRemoteConnections cause a warning, and are rejected with
// DATABASE_TLS=required.
func TestUnencryptedRemoteConnections(t *testing.T) {
	for address, exposed := range map[string]bool{
		"postgres://ada@db/shop":                           true, // pgx prefers TLS, but falls back to clear text
		"postgres://ada@db/shop?sslmode=disable":           true,
		"postgres://ada@db/shop?sslmode=allow":             true,
		"postgres://ada@db/shop?sslmode=prefer":            true,
		"postgres://ada@localhost,db/shop?sslmode=disable": true,
		"postgres://ada@10.0.0.1/shop":                     true,
		"postgres://ada@db/shop?sslmode=require":           false,
		"postgres://ada@db/shop?sslmode=verify-full":       false,
		"postgres://ada@localhost/shop":                    false,
		"postgres://ada@127.0.0.2/shop?sslmode=disable":    false,
		"postgres://ada@[::1]/shop":                        false,
		"postgres:///shop?host=/var/run/postgresql":        false,
		"sqlite://x.db":                                    false,
	} {
		t.Run(address, func(t *testing.T) {
			login := database.Login{TLS: "optional"}
			require.NoError(t, login.Check(address))
			require.Equal(t, exposed, len(login.Warnings(address)) > 0)
			login.TLS = "required"
			err := login.Check(address)
			if exposed {
				require.ErrorContains(t, err, "DATABASE_TLS is required, but DATABASE_URL allows clear text")
			} else {
				require.NoError(t, err)
			}
		})
	}
	t.Run("as the environment has it", func(t *testing.T) {
		t.Setenv("PGSSLMODE", "require")
		require.Empty(t, database.Login{}.Warnings("postgres://ada@db/shop"))
	})
}
