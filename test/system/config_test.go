package system

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

// secret is in every setting below. No four consecutive letters of it occur in the services'
// own texts.
const secret = "Zwxqvyjk7Bgpfzk"

func requireNoSecret(t *testing.T, text string) {
	t.Helper()
	for i := range len(secret) - 3 {
		require.NotContains(t, text, secret[i:i+4])
	}
}

// TestErrorsShowNoPartOfASetting sets every variable to wrong values with a secret in them.
func TestErrorsShowNoPartOfASetting(t *testing.T) {
	forms := []string{
		secret, secret + "\n", `"` + secret, "[{" + secret, `[{"issuer":"` + secret + `"}]`, "9" + secret, secret + "=" + secret,
		"http://" + secret + ":" + secret + "@x/" + secret, "http://x/?" + secret, "redis://:" + secret + "@" + secret + "#x@x", "redis://x/" + secret,
		"10.0.0.0/" + secret, "1/s:" + secret, "sqlite:///x?" + secret,
	}
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			binary := process.Build(t, service)
			listed := process.Command(t, binary, []string{"config"})
			variables := regexp.MustCompile(`(?m)^[A-Z][A-Z_0-9]+`).FindAllString(listed.Stdout, -1)
			require.Contains(t, variables, "DATABASE_URL")
			require.Greater(t, len(variables), 40)
			for _, form := range forms {
				var env []string
				for _, variable := range variables {
					env = append(env, variable+"="+form)
				}
				got := process.Command(t, binary, []string{"migrate"}, env...)
				require.Equal(t, 2, got.ExitCode, got.Stderr)
				for _, variable := range []string{"DATABASE_URL", "PORT", "REQUEST_TIMEOUT", "RATE_LIMIT_WRITE", "LOG_LEVEL"} {
					require.Regexp(t, `(?m)^`+variable+` (must|has|is) `, got.Stderr, form)
				}
				requireNoSecret(t, got.Stdout+got.Stderr)
			}
		})
	}
}

// TestConnectionErrorsShowNoPasswordOrUser uses addresses that are valid, but fail when
// connecting.
func TestConnectionErrorsShowNoPasswordOrUser(t *testing.T) {
	binary := process.Build(t, "user-service")
	server := strings.TrimPrefix(postgres.New(t), "postgres://postgres@")
	host, _, _ := strings.Cut(server, "/")
	for name, address := range map[string]string{
		"connection refused": "postgres://" + secret + ":" + secret + "@127.0.0.1:1/shop",
		"no such host":       "postgres://" + secret + ":" + secret + "@no-such-host.invalid/shop",
		"no TLS":             "postgres://x:" + secret + "@" + host + "/postgres?sslmode=require",
		"no such database":   "postgres://postgres:" + secret + "@" + host + "/no_such?sslmode=disable",
		"a rejected setting": "postgres://postgres:" + secret + "@" + host + "/postgres?sslmode=disable&statement_timeout=soon",
		"no matching server": "postgres://postgres:" + secret + "@" + host + "/postgres?sslmode=disable&target_session_attrs=standby",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := process.Command(t, binary, nil, "START_TIMEOUT=0s", "DATABASE_URL="+address)
			require.Equal(t, 1, got.ExitCode, got.Stdout)
			require.Contains(t, got.Stdout, `"database":"postgres://`)
			requireNoSecret(t, got.Stdout+got.Stderr)
		})
	}
}

// TestAnUnencodedPasswordIsNeverResolvedAsAHost: otherwise a part of the password would be
// resolved as a host name.
func TestAnUnencodedPasswordIsNeverResolvedAsAHost(t *testing.T) {
	binary := process.Build(t, "user-service")
	for _, mark := range []string{"@ss/w#", "/", "#", "?", "%zz", "@", " "} {
		got := process.Command(t, binary, nil, "DATABASE_URL=postgres://ada:"+secret+mark+secret+"@127.0.0.1:1/shop")
		require.Equal(t, 2, got.ExitCode, mark)
		require.Contains(t, got.Stderr, "percent-encode", mark)
		requireNoSecret(t, got.Stdout+got.Stderr)
	}
}

func TestTheFirstLineSaysWhichDatabaseItIs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.db")
	server := process.Start(t, process.Build(t, "user-service"), "DATABASE_URL=sqlite://"+file+"\n", "HOST=[::1]", "DATABSE_URL=postgres://x:"+secret+"@y/z")
	require.NotContains(t, server.Log(), secret)
	first, _, _ := strings.Cut(server.Log(), "\n")
	require.Contains(t, first, fmt.Sprintf(`"database":"sqlite://%s"`, file))
	require.Contains(t, first, `"address":"[::1]:`)
	require.Contains(t, server.Log(), `"msg":"an unknown variable is set","service":"user-service"`)
	require.Contains(t, server.Log(), `"variable":"DATABSE_URL","like":"DATABASE_URL"`)
	_, err := os.Stat(file)
	require.NoError(t, err, "the line break must not be part of the file's name")
}

func TestAnEmptySettingIsAnError(t *testing.T) {
	for service, variable := range map[string]string{"user-service": "DATABASE_URL", "order-service": "USER_SERVICE_URL"} {
		got := process.Command(t, process.Build(t, service), nil, variable+"=")
		require.Equal(t, 2, got.ExitCode)
		require.Contains(t, got.Stderr, variable+" is empty")
	}
}

func TestAProxyNetworkWithHostBitsIsRejected(t *testing.T) {
	for _, service := range services {
		got := process.Command(t, process.Build(t, service), nil, "TRUSTED_PROXIES=10.0.0.1/8")
		require.Equal(t, 2, got.ExitCode)
		require.Contains(t, got.Stderr, "write 10.0.0.0/8 for the network, or 10.0.0.1/32 for the host")
	}
}

// TestAnOpenServiceIsLoggedOnce: not again at each attempt to open the database.
func TestAnOpenServiceIsLoggedOnce(t *testing.T) {
	const warning = "set AUTH_ISSUERS to require tokens"
	got := process.Command(t, process.Build(t, "user-service"), nil, "START_TIMEOUT=1500ms", "DATABASE_URL=postgres://ada@127.0.0.1:1/shop")
	require.Equal(t, 1, got.ExitCode)
	require.Greater(t, strings.Count(got.Stdout, "127.0.0.1:1"), 1, "it tries again: %s", got.Stdout)
	require.Equal(t, 1, strings.Count(got.Stdout, warning), got.Stdout)
}
