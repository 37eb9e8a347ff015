package userclient

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/requestid"
	"github.com/example/microservices/pkg/resilience"
)

func TestTheHeadersOfARequest(t *testing.T) {
	var got []*http.Request
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r)
		knowsEveryone(w, r)
	})
	c := newClient(t, patient(server.URL))
	ctx := requestid.With(t.Context(), "req-1")
	require.NoError(t, verifyNew(ctx, c))
	require.NoError(t, verifyNew(t.Context(), c))
	require.NoError(t, c.Ready(ctx))
	require.Len(t, got, 3)
	for i, wantID := range [][]string{{"req-1"}, nil, {"req-1"}} {
		require.Equal(t, http.MethodGet, got[i].Method)
		require.Equal(t, "order-service", got[i].UserAgent())
		require.Equal(t, wantID, got[i].Header.Values(requestid.Header))
		require.Contains(t, got[i].Header.Get("Accept"), "application/json")
		require.Empty(t, got[i].Header.Values("Accept-Encoding"))
	}
}

func TestProxiesFromTheEnvironmentAreIgnored(t *testing.T) {
	// net/http reads the environment only once, so test the setting.
	require.Nil(t, newTransport(at("http://u")).Proxy)
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var status atomic.Int64
	connections := map[string]bool{}
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		connections[r.RemoteAddr] = true
		switch status.Load() {
		case http.StatusOK:
			knowsEveryone(w, r)
		case http.StatusNotFound:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"status":404}`))
		default:
			w.WriteHeader(int(status.Load()))
			_, _ = w.Write([]byte(strings.Repeat("x", 1000)))
		}
	})
	cfg := patient(server.URL)
	cfg.MaxTries, cfg.BreakerRatio = 1, 1
	c := newClient(t, cfg)
	for _, s := range []int64{200, 404, 500, 429, 302, 401, 200} {
		status.Store(s)
		_ = verifyNew(t.Context(), c)
	}
	require.Len(t, connections, 1)
}

func TestWrapTransportSeesEveryRequest(t *testing.T) {
	var seen []string
	server := newServer(t, knowsEveryone)
	cfg := patient(server.URL)
	cfg.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.URL.Path)
			return next.RoundTrip(r)
		})
	}
	c := newClient(t, cfg)
	id := uuid.New()
	require.NoError(t, c.Verify(t.Context(), id))
	require.NoError(t, c.Ready(t.Context()))
	require.Equal(t, []string{"/api/v1/users/" + id.String(), "/health/live"}, seen)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestReady(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		ready  bool
	}{
		{"alive", 200, true},
		{"no content", 204, false},
		{"redirect", 302, false},
		{"denied", 403, false},
		{"unknown path", 404, false},
		{"broken", 500, false},
		{"starting", 503, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var paths []string
			server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				paths = append(paths, r.URL.Path)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
			})
			err := newClient(t, patient(server.URL)).Ready(t.Context())
			require.Equal(t, test.ready, err == nil, "%v", err)
			require.Equal(t, []string{"/health/live"}, paths)
		})
	}
}

func TestReadyIgnoresTheBreakerAndTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: broken500}
		cfg := u.config()
		cfg.MaxConcurrent = 1
		c := newClient(t, cfg)
		openBreaker(t, c)
		c.slots <- struct{}{} // use up the slots, too
		before := u.requests.Load()
		require.Error(t, c.Ready(t.Context()))
		require.Equal(t, before+1, u.requests.Load(), "no retry")
		u.answer = func(*http.Request) (*http.Response, error) { return respond(200, ""), nil }
		require.NoError(t, c.Ready(t.Context()))
		require.Equal(t, resilience.Open, c.breaker.State(), "the breaker doesn't change")
		u.answer = hung
		start := time.Now()
		require.ErrorIs(t, c.Ready(t.Context()), context.DeadlineExceeded)
		require.Equal(t, 800*time.Millisecond, time.Since(start))
	})
}

func TestReadyOfAStoppedService(t *testing.T) {
	server := newServer(t, knowsEveryone)
	c := newClient(t, patient(server.URL))
	server.Close()
	require.Error(t, c.Ready(t.Context()))
}

func TestWhatIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))
		u := &upstream{answer: func(*http.Request) (*http.Response, error) {
			return respond(http.StatusForbidden, `{"email":"a@example.com"}`), nil
		}}
		c, err := New(u.config(), log, nil)
		require.NoError(t, err)
		defer c.Close()
		ctx := requestid.With(t.Context(), "req-1")
		for range 100 {
			requireUnavailable(t, verifyNew(ctx, c))
		}
		pass(time.Minute)
		requireUnavailable(t, verifyNew(ctx, c))
		u.answer = broken500
		openBreaker(t, c)
		pass(10*time.Second + 1)
		u.answer = found200
		require.NoError(t, verifyNew(ctx, c))

		const denial = `level=ERROR msg="user-service rejects this service's requests: credentials or access rules are misconfigured" dependency=user-service status=403`
		require.Equal(t, strings.Join([]string{
			denial, // one message for a hundred requests
			denial,
			`level=WARN msg="circuit breaker changed state" dependency=user-service from=closed to=open`,
			`level=INFO msg="circuit breaker changed state" dependency=user-service from=open to=half-open`,
			`level=INFO msg="circuit breaker changed state" dependency=user-service from=half-open to=closed`,
			"",
		}, "\n"), out.String())
	})
}
