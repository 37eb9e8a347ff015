package userclient

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestURL(t *testing.T) {
	for _, test := range []struct {
		name string
		raw  string
		want string // error text; "" for none
	}{
		{name: "host and port", raw: "http://user-service:8000"},
		{name: "host alone", raw: "https://users.example.com"},
		{name: "prefix", raw: "http://gateway/users-api/"},
		{name: "IPv6", raw: "http://[::1]:8000"},
		{name: "missing", raw: "", want: "must start with http:// or https://"},
		{name: "no scheme", raw: "user-service:8000", want: "must start with http"},
		{name: "no scheme, no port", raw: "user-service", want: "must start with http"},
		{name: "a Kubernetes service variable", raw: "tcp://10.0.0.1:8000", want: "must start with http"},
		{name: "no host", raw: "http://", want: "no host"},
		{name: "port alone", raw: "http://:8000", want: "no host"},
		{name: "path alone", raw: "http:/users", want: "no host"},
		{name: "opaque", raw: "http:users", want: "no host"},
		{name: "password", raw: "http://me:hunter2@user-service", want: "user name or password"},
		{name: "user", raw: "http://hunter2@user-service", want: "user name or password"},
		{name: "query", raw: "http://user-service?hunter2", want: "query"},
		{name: "empty query", raw: "http://user-service?", want: "query"},
		{name: "fragment", raw: "http://user-service#hunter2", want: "fragment"},
		{name: "port 0", raw: "http://user-service:0", want: "port"},
		{name: "port too high", raw: "http://user-service:65536", want: "port"},
		{name: "port of letters", raw: "http://user-service:hunter2", want: "not a URL"},
		{name: "control characters", raw: "http://user-service\n/hunter2", want: "not a URL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := New(at(test.raw), nil, nil)
			if test.want == "" {
				require.NoError(t, err)
				c.Close()
				return
			}
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestPaths(t *testing.T) {
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	for _, test := range []struct{ name, base, users, live string }{
		{"bare", "", "/api/v1/users/" + id, "/health/live"},
		{"slash", "/", "/api/v1/users/" + id, "/health/live"},
		{"prefix", "/a/b", "/a/b/api/v1/users/" + id, "/a/b/health/live"},
		{"prefix and slash", "/a/b/", "/a/b/api/v1/users/" + id, "/a/b/health/live"},
		{"escaped prefix", "/a%2Fb", "/a%2Fb/api/v1/users/" + id, "/a%2Fb/health/live"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var paths []string
			server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				paths = append(paths, r.URL.EscapedPath())
				knowsEveryone(w, r)
			})
			c := newClient(t, patient(server.URL+test.base))
			require.NoError(t, c.Verify(t.Context(), uuid.MustParse(id)))
			require.NoError(t, c.Ready(t.Context()))
			require.Equal(t, []string{test.users, test.live}, paths)
		})
	}
}

func TestTriesFitTheTimeout(t *testing.T) {
	cfg := at("http://u")
	require.NoError(t, cfg.Validate())
	cfg.URL, cfg.Timeout, cfg.TryTimeout = "u", time.Second, 2*time.Second
	err := cfg.Validate()
	require.ErrorContains(t, err, "USER_CLIENT_TRY_TIMEOUT must be at most USER_CLIENT_TIMEOUT")
	require.ErrorContains(t, err, "USER_SERVICE_URL must start with http:// or https://")
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	reg := prometheus.NewRegistry()
	c, err := New(at("http://u"), nil, reg)
	require.NoError(t, err)
	defer c.Close()
	_, err = New(at("http://u"), nil, reg)
	require.ErrorContains(t, err, "metrics")
}
