package auth

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/testkit/issuer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const audience = "user-service"

// world is an issuer, the server of its keys, and a Verifier that trusts it.
type world struct {
	t        *testing.T
	issuer   *issuer.Issuer
	verifier *Verifier
	clock    *clock
	registry *prometheus.Registry
	// fetches counts requests for keys.
	fetches atomic.Int64
	// answer, if set, replaces the key server's handler.
	answer atomic.Pointer[http.HandlerFunc]
}

func newWorld(t *testing.T, options ...Option) *world {
	t.Helper()
	return newWorldOf(t, nil, options...)
}

// newWorldOf is newWorld with additional members of the issuer's configuration, in JSON.
func newWorldOf(t *testing.T, members []string, options ...Option) *world {
	t.Helper()
	i, err := issuer.New()
	require.NoError(t, err)
	w := &world{t: t, issuer: i, clock: &clock{now: time.Now()}, registry: prometheus.NewRegistry()}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.fetches.Add(1)
		answer := w.answer.Load()
		if answer != nil {
			(*answer)(rw, r)
			return
		}
		i.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.verifier, err = New(IssuerConfig{AuthIssuers: i.Setting(audience, server.URL, members...)}, slog.New(slog.DiscardHandler), w.registry, append(options, Clock(w.clock.Now))...)
	require.NoError(t, err)
	t.Cleanup(w.verifier.Close)
	return w
}

// serve replaces the key server's handler; nil restores it.
func (w *world) serve(h http.HandlerFunc) {
	if h == nil {
		w.answer.Store(nil)
		return
	}
	w.answer.Store(&h)
}

func (w *world) token(changes ...func(*issuer.Token)) string {
	w.t.Helper()
	token, err := w.issuer.Token([]string{audience}, "subject", "users:read", changes...)
	require.NoError(w.t, err)
	return token
}

func (w *world) authenticate(token string) (Caller, error) {
	return w.verifier.Authenticate(context.Background(), []string{"Bearer " + token})
}

// result returns the result of authenticating a token.
func (w *world) result(token string) result {
	_, err := w.authenticate(token)
	return resultOf(err)
}

func (w *world) counted(r result) int {
	return int(testutil.ToFloat64(w.verifier.metrics.tokens[r]))
}

// clock is a clock that advances only by pass.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
