package database_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/database"
)

func TestValidAddresses(t *testing.T) {
	for address, place := range map[string]string{
		"postgres://ada:secret@db:5433/shop?sslmode=disable":                                              "postgres://db:5433/shop",
		"postgresql://ada:p%40ss%2Fw%23rd%25@db/shop?sslmode=require&pool_max_conns=9":                    "postgres://db:5432/shop",
		"postgres://ada:pa:ss@db/shop":                                                                    "postgres://db:5432/shop",
		"postgres://ada:secret@a:5432,b:5433/shop?target_session_attrs=read-write&connect_timeout=3":      "postgres://a:5432,b:5433/shop",
		"postgres://ada@[fd00::1]:5432/shop":                                                              "postgres://fd00::1:5432/shop",
		"postgres://ada@db":                                                                               "postgres://db:5432/",
		"postgres:///shop?host=/var/run/postgresql&user=ada":                                              "postgres:///var/run/postgresql:5432/shop",
		"postgres://ada:secret@shop.cluster-x.eu-central-1.rds.amazonaws.com/shop?options=-c%20jit%3Doff": "postgres://shop.cluster-x.eu-central-1.rds.amazonaws.com:5432/shop",
		"sqlite://users.db":       "sqlite://users.db",
		"sqlite:///data/users.db": "sqlite:///data/users.db",
		"sqlite:////data/u.db":    "sqlite:///data/u.db", // as SQLAlchemy writes it
		"sqlite:///a b/ü#%.db":    "sqlite:///a b/ü#%.db",
	} {
		t.Run(address, func(t *testing.T) {
			require.NoError(t, database.Check(address))
			require.Equal(t, place, database.Place(address))
		})
	}
}

// canary is part of a password. No four characters of it may appear in an error.
const canary = "Kanarienvogel"

func TestAnAddressErrorNamesTheMistakeAndShowsNoValue(t *testing.T) {
	dir := t.TempDir()
	noPEM := filepath.Join(dir, "no.pem")
	require.NoError(t, os.WriteFile(noPEM, []byte(canary), 0o600))
	const good = "postgres://ada:" + canary + "@db:5432/shop"
	for address, says := range map[string]string{
		"":                           "must be postgres://",
		canary:                       "must be postgres://",
		"mysql://root:" + canary:     "must be postgres://",
		"host=db password=" + canary: "must be postgres://",
		// Passwords that aren't percent-encoded.
		"postgres://ada:" + canary + "@ss@db/shop":       "more than one @",
		"postgres://ada:" + canary + "p@ss/w#rd@db/shop": "has a #",
		"postgres://ada:" + canary + "/x@db/shop":        "an @ after a / or ?",
		"postgres://ada:" + canary + "?x@db/shop":        "an @ after a / or ?",
		"postgres://ada:" + canary + "p@ss/x@db/shop":    "more than one @",
		"postgres://ada:" + canary + "#x@db/shop":        "has a #",
		"postgres://ada:" + canary + "%zz@db/shop":       "a % without two hexadecimal digits",
		"postgres://ada:" + canary + "%@db/shop":         "a % without two hexadecimal digits",
		"postgres://ada:" + canary + " x@db/shop":        "a blank or a line break",
		"postgres://ada:" + canary + "\nx@db/shop":       "a blank or a line break",
		"postgres://ada:" + canary + "/shop":             "a port that is not in 1-65535",
		"postgres://ada:x@" + canary + "!/shop":          "a host with an invalid character",
		"postgres://ada:x@[" + canary + "]/shop":         "a host with an invalid character",
		"postgres://ada:x@[::1/shop":                     "a host with an invalid character",
		"postgres://ada:" + canary + "@a,b$/shop":        "a host with an invalid character",
		"postgres://ada:" + canary + "@db:70000/shop":    "a port that is not in 1-65535",
		"postgres://ada:" + canary + "@db:0/shop":        "a port that is not in 1-65535",
		"postgres://ada:" + canary + "@db:/shop":         "a port that is not in 1-65535",
		// Parameters.
		good + "?sslmode=" + canary:                                "a parameter sslmode that must be disable, allow, prefer, require, verify-ca or verify-full",
		good + "?target_session_attrs=" + canary:                   "a parameter target_session_attrs that must be any, read-write",
		good + "?connect_timeout=" + canary:                        "a parameter connect_timeout that must be a whole number of seconds",
		good + "?pool_max_conns=" + canary:                         "a parameter pool_max_conns that must be a whole number of at least 1",
		good + "?pool_max_conn_lifetime=" + canary:                 "a parameter pool_max_conn_lifetime that must be a duration",
		good + "?default_query_exec_mode=" + canary:                "a parameter default_query_exec_mode that must be cache_statement",
		good + "?channel_binding=" + canary:                        "a parameter channel_binding that must be",
		good + "?port=" + canary:                                   "a parameter port that must be a number",
		good + "?sslrootcert=/" + canary + "&sslmode=verify-full":  "a parameter sslrootcert with a file that can't be used: no such file or directory",
		good + "?sslmode=verify-full&sslrootcert=" + noPEM:         "a parameter sslrootcert with a file that can't be used: its content",
		good + "?sslrootcert=" + dir:                               "a parameter sslrootcert with a file that can't be used: is a directory",
		good + "?sslmode=require&sslcert=/" + canary:               "a parameter sslcert with a file that can't be used: no such file or directory",
		good + "?sslmode=" + canary + "&connect_timeout=" + canary: "several invalid parameters",
		good + "?ssl_mode=" + canary:                               "an unknown parameter, number 1 after the ?; the closest known one is sslmode",
		good + "?sslmode=require&target_session_attr=any":          "number 2 after the ?; the closest known one is target_session_attrs",
		good + "?password=x&" + canary + "=x":                      "an unknown parameter, number 2",
		good + "?" + canary:                                        "no value for parameter 1",
		good + "?sslmode=require&sslmode=" + canary:                "the parameter sslmode twice",
		// SQLite.
		"sqlite://":                        "must be postgres://",
		"sqlite:x.db":                      "must be postgres://",
		"sqlite:///x.db?mode=ro":           "remove mode",
		"sqlite:///x.db?_pragma=" + canary: "remove _pragma",
		"sqlite:///x.db?" + canary:         "remove what follows the ?",
		"sqlite://file:/" + canary + ".db": "a file: URI",
		"sqlite://:memory:":                "in memory",
		"sqlite://x.db?mode=memory":        "in memory",
		"sqlite:///" + canary + "/":        "names a folder",
	} {
		t.Run(address, func(t *testing.T) {
			err := database.Check(address)
			require.ErrorContains(t, err, says)
			require.Empty(t, database.Place(address))
			for i := range len(canary) - 3 {
				require.NotContains(t, err.Error(), canary[i:i+4])
			}
			require.False(t, strings.HasPrefix(err.Error(), "DATABASE_URL"))
		})
	}
}

func TestInvalidVariablesOfPostgreSQLAreReported(t *testing.T) {
	t.Setenv("PGSSLMODE", canary)
	err := database.Check("postgres://ada@db/shop?application_name=x")
	require.ErrorContains(t, err, "an environment variable PG…, such as PGSSLMODE")
	require.NotContains(t, err.Error(), canary)
}
