package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/ratelimit"
)

// newThings returns an open API of three operations on /api/things, which have no ETag.
func newThings(t *testing.T, change func(*Config)) http.Handler {
	t.Helper()
	c := Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.Open(), BodyTimeout: time.Minute}
	change(&c)
	a := New(c)
	nothing := func(context.Context, *struct{}) (Nothing, error) { return Nothing{}, nil }
	Register(a, huma.Operation{OperationID: "read", Method: http.MethodGet, Path: "/api/things"}, Needs("x"), nothing)
	Register(a, huma.Operation{OperationID: "remove", Method: http.MethodDelete, Path: "/api/things"}, Needs("x"), nothing)
	Register(a, huma.Operation{OperationID: "write", Method: http.MethodPost, Path: "/api/things"}, Needs("x"),
		func(context.Context, *struct{ Body Body[struct{}] }) (Nothing, error) { return Nothing{}, nil })
	return a.Handler()
}

// ask sends a request with headers, given as names and values.
func ask(t *testing.T, h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	if method == http.MethodPost {
		r = httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer
}

func limitedTo(t *testing.T, requests int) func(*Config) {
	t.Helper()
	limit := ratelimit.Limit{Requests: requests, Period: time.Hour, Burst: requests}
	limits, err := ratelimit.NewPolicies(ratelimit.PolicyConfig{ReadLimit: limit, WriteLimit: limit}, "test", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	return func(c *Config) { c.Limits = limits }
}

// TestNoAnswerOfTheAPIIsCached: errors aren't, either (RFC 9110, section 15.5.5, permits
// caches to keep a 404).
func TestNoAnswerOfTheAPIIsCached(t *testing.T) {
	h := newThings(t, limitedTo(t, 1))
	starting := Starting("test", "1", true, nil)
	for name, c := range map[string]struct {
		h              http.Handler
		method, target string
		status         int
	}{
		"a success":              {newThings(t, func(*Config) {}), http.MethodGet, "/api/things", http.StatusNoContent},
		"an unknown path":        {newThings(t, func(*Config) {}), http.MethodGet, "/api/nothing", http.StatusNotFound},
		"an unsupported method":  {newThings(t, func(*Config) {}), http.MethodPut, "/api/things", http.StatusMethodNotAllowed},
		"an unknown parameter":   {newThings(t, func(*Config) {}), http.MethodGet, "/api/things?a=1", http.StatusUnprocessableEntity},
		"too many unknown paths": {h, http.MethodGet, "/api/nothing", http.StatusTooManyRequests},
		"starting":               {starting, http.MethodGet, "/api/things", http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			if c.status == http.StatusTooManyRequests {
				ask(t, c.h, c.method, c.target)
			}
			answer := ask(t, c.h, c.method, c.target)
			require.Equal(t, c.status, answer.Code)
			require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
			require.Equal(t, "nosniff", answer.Header().Get("X-Content-Type-Options"))
		})
	}
}

// TestAnUnreadableNameIsAnswered: what can't be echoed must not become an empty success.
func TestAnUnreadableNameIsAnswered(t *testing.T) {
	h := newThings(t, func(*Config) {})
	for _, name := range []string{"%ff", "%ed%a0%80", "a%80", strings.Repeat("%ff", 100)} {
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost} {
			answer := ask(t, h, method, "/api/things?"+name+"=1")
			require.Equal(t, http.StatusUnprocessableEntity, answer.Code, "%s %s", method, name)
			require.Contains(t, answer.Body.String(), "query.")
		}
	}
	problem := NewProblem(http.StatusConflict, "no\xff")
	answer := httptest.NewRecorder()
	require.Error(t, problem.send(t.Context(), answer))
	require.Equal(t, http.StatusInternalServerError, answer.Code)
}

// TestAConditionThatCantHoldStopsTheRequest (RFC 9110, sections 13.1.1 and 13.1.2).
func TestAConditionThatCantHoldStopsTheRequest(t *testing.T) {
	h := newThings(t, func(*Config) {})
	for _, c := range []struct {
		method, header, value string
		status                int
	}{
		{http.MethodGet, "If-Match", `"3"`, http.StatusPreconditionFailed},
		{http.MethodGet, "If-None-Match", `"3"`, http.StatusNoContent},
		{http.MethodPost, "If-Match", `"3"`, http.StatusPreconditionFailed},
		{http.MethodPost, "If-None-Match", "*", http.StatusPreconditionFailed},
		{http.MethodDelete, "If-None-Match", `W/"3"`, http.StatusPreconditionFailed},
		{http.MethodDelete, "If-Match", "", http.StatusPreconditionFailed},
	} {
		require.Equal(t, c.status, ask(t, h, c.method, "/api/things", c.header, c.value).Code, "%s %s", c.method, c.header)
	}
}

// TestRejectionsHaveCORSHeaders: otherwise a page sees a network error instead of a 429 or
// a 503 with Retry-After.
func TestRejectionsHaveCORSHeaders(t *testing.T) {
	const origin = "https://shop.example.com"
	origins := func(c *Config) {
		limitedTo(t, 1)(c)
		c.Client = ClientConfig{CORSOrigins: Origins{origin}}
	}
	for name, c := range map[string]struct {
		h       http.Handler
		method  string
		target  string
		status  int
		headers []string
	}{
		"an operation": {newThings(t, origins), http.MethodGet, "/api/things", http.StatusTooManyRequests, nil},
		"another path": {newThings(t, origins), http.MethodGet, "/nowhere", http.StatusTooManyRequests, nil},
		"a preflight":  {newThings(t, origins), http.MethodOptions, "/api/things", http.StatusTooManyRequests, []string{"Access-Control-Request-Method", "POST"}},
		"starting":     {Starting("test", "1", true, Origins{origin}), http.MethodGet, "/api/things", http.StatusServiceUnavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			headers := append([]string{"Origin", origin}, c.headers...)
			ask(t, c.h, c.method, c.target, headers...)
			answer := ask(t, c.h, c.method, c.target, headers...)
			require.Equal(t, c.status, answer.Code)
			require.Equal(t, origin, answer.Header().Get("Access-Control-Allow-Origin"))
			require.Contains(t, answer.Header().Values("Vary"), "Origin")
		})
	}
	stranger := ask(t, Starting("test", "1", true, Origins{origin}), http.MethodGet, "/api/things", "Origin", "https://evil.example.com")
	require.Empty(t, stranger.Header().Get("Access-Control-Allow-Origin"))
}

// TestALargeBodyIsAnsweredWhileStarting: the client may send all of it before it reads the
// answer.
func TestALargeBodyIsAnsweredWhileStarting(t *testing.T) {
	server := httptest.NewServer(Starting("test", "1", true, nil))
	t.Cleanup(server.Close)
	status, _ := sendAll(t, server.Listener.Addr().String(), "POST /api/things HTTP/1.1\r\nContent-Type: application/json", 4<<20, "")
	require.Equal(t, http.StatusServiceUnavailable, status)
}

// TestEachPolicyHasItsOwnLine: the 429 of a second policy, such as that of email addresses,
// has the headers of both.
func TestEachPolicyHasItsOwnLine(t *testing.T) {
	answer := httptest.NewRecorder()
	answer.Header().Set("RateLimit", `"write";r=19;t=1`)
	require.NoError(t, TooMany(time.Second).with("RateLimit", `"email";r=0;t=720`).send(t.Context(), answer))
	require.Equal(t, []string{`"write";r=19;t=1`, `"email";r=0;t=720`}, answer.Header().Values("RateLimit"))
}
