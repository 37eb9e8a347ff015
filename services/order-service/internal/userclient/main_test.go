package userclient

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/services/order-service/internal/order"
)

func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's own log
	goleak.VerifyTestMain(m,
		// toxiproxy leaks these if a connection closes while a toxic delays data.
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).write"),
	)
}

// newClient returns a client that is closed when the test ends.
func newClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// newServer returns a user-service over real TCP with the given handler.
func newServer(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// at returns the default configuration for a user-service.
func at(url string) Config {
	cfg := NewConfig()
	cfg.URL = url
	return cfg
}

// patient returns a configuration for tests over real TCP, with timeouts that a healthy
// user-service meets even on a busy machine.
func patient(baseURL string) Config {
	cfg := at(baseURL)
	cfg.Timeout, cfg.TryTimeout = time.Hour, time.Hour/10
	return cfg
}

// knowsEveryone responds like a user-service with every user.
func knowsEveryone(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, foundBody(r))
}

// foundBody is the body of a response according to which all requested users exist.
func foundBody(r *http.Request) string {
	_, last, _ := strings.Cut(r.URL.Path, "/api/v1/users/")
	if last == "existing" {
		return `{"ids":["` + strings.ReplaceAll(r.URL.Query().Get("ids"), ",", `","`) + `"]}`
	}
	return userBody(last)
}

func userBody(id string) string {
	return `{"id":"` + id + `","name":"A","email":"a@example.com","age":null,` +
		`"created_at":"2025-01-01T00:00:00Z","updated_at":"2025-01-01T00:00:00Z"}`
}

// upstream replaces the network in tests with a synthetic clock, which can't use real
// connections. It counts requests.
type upstream struct {
	answer   func(*http.Request) (*http.Response, error)
	requests atomic.Int64
}

func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	u.requests.Add(1)
	return u.answer(r)
}

// config returns a configuration that sends requests to u.
func (u *upstream) config() Config {
	cfg := at("http://user-service:8000")
	cfg.WrapTransport = func(http.RoundTripper) http.RoundTripper { return u }
	return cfg
}

func found200(r *http.Request) (*http.Response, error) {
	return respond(http.StatusOK, foundBody(r)), nil
}

func unknown404(*http.Request) (*http.Response, error) {
	r := respond(http.StatusNotFound, `{"status":404,"title":"Not Found"}`)
	r.Header.Set("Content-Type", "application/problem+json")
	return r, nil
}

func broken500(*http.Request) (*http.Response, error) {
	return respond(http.StatusInternalServerError, ""), nil
}

// hung doesn't respond until the request is canceled.
func hung(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// after responds like next, after d.
func after(d time.Duration, next func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return next(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func respond(status int, body string) *http.Response {
	return &http.Response{
		StatusCode:    status,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
	}
}

// requireUnavailable asserts that err is *order.UsersUnavailableError, with a RetryAfter in
// whole seconds.
func requireUnavailable(t *testing.T, err error) {
	t.Helper()
	require.NotErrorIs(t, err, order.ErrUserUnknown)
	require.GreaterOrEqual(t, retryAfter(t, err), time.Second)
	require.Zero(t, retryAfter(t, err)%time.Second)
}

// retryAfter returns the RetryAfter of err, an *order.UsersUnavailableError.
func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	var unavailable *order.UsersUnavailableError
	require.ErrorAs(t, err, &unavailable)
	return unavailable.RetryAfter
}

// together makes n concurrent calls and returns a function that waits for their results, so
// that assertions run on the test's goroutine.
func together(n int, call func() error) (wait func() []error) {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = call() })
	}
	return func() []error {
		wg.Wait()
		return errs
	}
}

// verifyNew looks up a user that was not looked up before.
func verifyNew(ctx context.Context, c *Client) error {
	return c.Verify(ctx, uuid.New())
}

// pass advances the synthetic clock of a synctest bubble by d.
func pass(d time.Duration) { <-time.After(d) }
