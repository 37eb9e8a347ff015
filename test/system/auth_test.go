package system

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/internal/testkit/process"
	"github.com/example/microservices/internal/testkit/session"
)

// allScopes are a customer's scopes. sessionScopes are those of the README's session, which
// also fulfils an order.
const (
	allScopes     = "users:read users:write orders:read orders:write"
	sessionScopes = allScopes + " orders:fulfil"
)

// guarded is both services, which require tokens of one issuer.
type guarded struct {
	issuer        *issuer.Issuer
	users, orders *process.Process
}

// startGuarded starts both services with tokens required, and with env added to each.
func startGuarded(t *testing.T, env ...string) *guarded {
	t.Helper()
	return startGuardedOn(t, databases["sqlite"](t), databases["sqlite"](t), env...)
}

// startGuardedOn does the same on these databases.
func startGuardedOn(t *testing.T, users, orders string, env ...string) *guarded {
	t.Helper()
	i, err := issuer.New()
	require.NoError(t, err)
	keys := httptest.NewServer(i)
	t.Cleanup(keys.Close)
	g := &guarded{issuer: i}
	tokenFile := filepath.Join(t.TempDir(), "token")
	require.NoError(t, issuer.WriteToken(tokenFile, g.token(t, "order-service", "users:lookup events:read")))
	g.users = process.Start(t, process.Build(t, "user-service"), append(env, "DATABASE_URL="+users, "AUTH_REQUIRED=true", "AUTH_ISSUERS="+i.Setting("user-service", keys.URL))...)
	g.orders = process.Start(t, process.Build(t, "order-service"), append(env, "DATABASE_URL="+orders, "USER_SERVICE_URL="+g.users.URL,
		"USER_CLIENT_TOKEN_FILE="+tokenFile, "AUTH_REQUIRED=true", "AUTH_ISSUERS="+i.Setting("order-service", keys.URL))...)
	return g
}

func (g *guarded) token(t *testing.T, subject, scopes string) string {
	t.Helper()
	token, err := g.issuer.Token([]string{"user-service", "order-service"}, subject, scopes)
	require.NoError(t, err)
	return token
}

// send sends a request with a token, and returns the status and the body.
func send(t testing.TB, client *http.Client, method, url, token, body string) (int, string) {
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(read)
}

// TestTheSessionOfTheREADMEWithAToken runs the session verbatim, as one user.
func TestTheSessionOfTheREADMEWithAToken(t *testing.T) {
	g := startGuarded(t)
	session.RunWith(t, "../..", g.users.Address, g.orders.Address, g.token(t, uuid.NewString(), sessionScopes))
	require.NotContains(t, g.users.Log()+g.orders.Log(), "eyJ", "a token is logged")
}

func TestSmokeWithAToken(t *testing.T) {
	g := startGuarded(t)
	smoke := func(scopes string) process.Result {
		path := filepath.Join(t.TempDir(), "token")
		require.NoError(t, issuer.WriteToken(path, g.token(t, "smoke", scopes)))
		return process.Command(t, process.Build(t, "order-service"), []string{"smoke"}, "USER_URL="+g.users.URL, "ORDER_URL="+g.orders.URL, "SMOKE_TOKEN_FILE="+path)
	}
	got := smoke("admin")
	require.Zero(t, got.ExitCode, got.Stderr)
	require.Equal(t, 1, smoke(allScopes).ExitCode)
}

func TestAuthRequiredNeedsIssuers(t *testing.T) {
	for _, service := range []string{"user-service", "order-service"} {
		got := process.Command(t, process.Build(t, service), nil, "DATABASE_URL="+databases["sqlite"](t), "AUTH_REQUIRED=true")
		require.Equal(t, 2, got.ExitCode)
		require.Contains(t, got.Stderr, "AUTH_ISSUERS must be set")
		got = process.Command(t, process.Build(t, service), nil, "DATABASE_URL=nonsense", `AUTH_ISSUERS=[{"issuer":"secret","audience":""}]`)
		require.Equal(t, 2, got.ExitCode)
		for _, want := range []string{"DATABASE_URL", "AUTH_ISSUERS[0].issuer", "AUTH_ISSUERS[0].audience"} {
			require.Contains(t, got.Stderr, want, "all errors are reported together")
		}
		require.NotContains(t, got.Stderr, "secret")
	}
}

func TestAServiceWithoutKeysIsAliveAndNotReady(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	var away atomic.Bool
	away.Store(true)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		i.ServeHTTP(w, r)
	}))
	t.Cleanup(keys.Close)
	users, err := process.Run(process.Build(t, "user-service"), "DATABASE_URL="+databases["sqlite"](t), "AUTH_ISSUERS="+i.Setting("user-service", keys.URL))
	require.NoError(t, err)
	t.Cleanup(users.Kill)
	token, err := i.Token([]string{"user-service"}, uuid.NewString(), allScopes)
	require.NoError(t, err)
	client := httpClient(t)
	require.NoError(t, users.Wait(t.Context(), "/health/live", http.StatusOK))
	require.NoError(t, users.Wait(t.Context(), "/health/ready", http.StatusServiceUnavailable))
	status, body := send(t, client, http.MethodGet, users.URL+"/api/v1/users", token, "")
	require.Equal(t, http.StatusServiceUnavailable, status, body)
	require.Contains(t, body, "the token can't be checked right now")
	away.Store(false)
	require.NoError(t, users.WaitReady())
	status, body = send(t, client, http.MethodGet, users.URL+"/api/v1/users", token, "")
	require.Equal(t, http.StatusOK, status, body)
	away.Store(true)
	status, _ = send(t, client, http.MethodGet, users.URL+"/api/v1/users", token, "")
	require.Equal(t, http.StatusOK, status)
}

// TestKeysRotateUnderLoad rotates the issuer's key three times during 500 requests a second
// to the real process. Most requests have a new token, signed with the newest key. Every
// valid token is accepted, every forged one rejected.
func TestKeysRotateUnderLoad(t *testing.T) {
	g := startGuarded(t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}
	t.Cleanup(client.CloseIdleConnections)
	stranger, err := issuer.New()
	require.NoError(t, err)
	strange := stranger.Key()
	first := g.token(t, uuid.NewString(), allScopes)

	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	ask := func(kind, token string, want int) {
		status, body := send(t, client, http.MethodGet, g.users.URL+"/api/v1/users", token, "")
		mu.Lock()
		defer mu.Unlock()
		answers[kind]++
		if status != want {
			answers[kind+" wrong: "+body]++
		}
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	const phase = 2600 // ticks: longer than the 5s between two fetches of the keys
	for n := range 3*phase + 500 {
		<-tick.C
		if n%phase == phase-1 {
			require.NoError(t, g.issuer.Rotate(4))
		}
		wg.Go(func() {
			switch n % 10 {
			case 0:
				forged, err := g.issuer.Token([]string{"user-service"}, "s", allScopes, func(t *issuer.Token) { t.Key.Key = strange.Key })
				require.NoError(t, err)
				ask("forged", forged, http.StatusUnauthorized)
			case 1:
				ask("the first", first, http.StatusOK)
			default:
				ask("fresh", g.token(t, uuid.NewString(), allScopes), http.StatusOK)
			}
		})
	}
	wg.Wait()
	require.Len(t, answers, 3, "%v", answers)
	t.Log(answers)
}
