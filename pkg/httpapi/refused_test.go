package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/ratelimit"
)

// TestTheAnswerToARejectedBodyArrives: also at clients that send the whole body before
// they read the answer.
func TestTheAnswerToARejectedBodyArrives(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	keys := httptest.NewServer(i)
	t.Cleanup(keys.Close)
	v, err := auth.New(auth.IssuerConfig{AuthIssuers: i.Setting("test", keys.URL)}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(v.Close)
	limits, err := ratelimit.NewPolicies(ratelimit.PolicyConfig{WriteLimit: ratelimit.Limit{Requests: 100, Period: time.Hour, Burst: 100}}, "test", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	a := New(Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: v, Limits: limits, BodyTimeout: time.Minute})
	Register(a, huma.Operation{OperationID: "write", Method: http.MethodPost, Path: "/things"}, Needs("x"),
		func(context.Context, *struct{ Body Body[struct{}] }) (Nothing, error) { return Nothing{}, nil })
	server := httptest.NewServer(a.Handler())
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	token, err := i.Token([]string{"test"}, "someone", "x")
	require.NoError(t, err)
	other, err := i.Token([]string{"test"}, "another", "x")
	require.NoError(t, err)
	for range 100 { // until the other caller exceeds its limit
		status, _ := sendAll(t, address, "POST /things HTTP/1.1\r\nAuthorization: Bearer "+other, 1, "")
		require.Equal(t, http.StatusUnsupportedMediaType, status)
	}

	const size = 10 << 20
	jsonType := "\r\nContent-Type: application/json"
	for name, row := range map[string]struct {
		head, encoding string
		status         int
	}{
		"too large":             {"POST /things HTTP/1.1\r\nAuthorization: Bearer " + token + jsonType, "", http.StatusRequestEntityTooLarge},
		"too large, in chunks":  {"POST /things HTTP/1.1\r\nAuthorization: Bearer " + token + jsonType, "chunked", http.StatusRequestEntityTooLarge},
		"no JSON, in chunks":    {"POST /things HTTP/1.1\r\nAuthorization: Bearer " + token, "chunked", http.StatusUnsupportedMediaType},
		"no token, in chunks":   {"POST /things HTTP/1.1" + jsonType, "chunked", http.StatusUnauthorized},
		"too many, in chunks":   {"POST /things HTTP/1.1\r\nAuthorization: Bearer " + other + jsonType, "chunked", http.StatusTooManyRequests},
		"an unknown path":       {"POST /nowhere HTTP/1.1" + jsonType, "", http.StatusNotFound},
		"an unsupported method": {"PATCH /things HTTP/1.1" + jsonType, "", http.StatusMethodNotAllowed},
		"a GET that has a body": {"GET /nowhere HTTP/1.1" + jsonType, "", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			for range 3 {
				status, body := sendAll(t, address, row.head, size, row.encoding)
				require.Equal(t, row.status, status)
				require.Contains(t, body, `"request_id"`, "the answer must be complete")
			}
		})
	}
}

// sendAll sends a whole request, and only then reads the answer.
func sendAll(t *testing.T, address, head string, size int, encoding string) (int, string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	out := bufio.NewWriterSize(conn, 64<<10)
	if encoding == "" {
		_, err = fmt.Fprintf(out, "%s\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", head, size, strings.Repeat(" ", size))
	} else {
		_, err = fmt.Fprintf(out, "%s\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, size, strings.Repeat(" ", size))
	}
	require.NoError(t, err)
	require.NoError(t, out.Flush())
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

// TestATooLargeLengthIsRejectedAtOnce: without the body, and without 100 Continue
// (RFC 9110, section 10.1.1).
func TestATooLargeLengthIsRejectedAtOnce(t *testing.T) {
	c := newCrowded(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(c.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprint(conn, "POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
	require.True(t, response.Close)
	body, err := io.ReadAll(response.Body) // until the server closes its side
	require.NoError(t, err)
	require.Contains(t, string(body), "at most 65536 bytes")
}

// TestAFloodOfRejectionsIsDelayed: above a thousand rejections a second, each is delayed, so
// that a client that retries at once gets ten a second per connection. The number of delayed
// rejections is limited, and none is delayed while the service stops.
func TestAFloodOfRejectionsIsDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits, err := ratelimit.NewPolicies(ratelimit.PolicyConfig{ReadLimit: ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 1}}, "test", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		require.NoError(t, err)
		a := New(Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.Open(), Limits: limits})
		get := func() (status int, took time.Duration) {
			began := time.Now()
			w := httptest.NewRecorder()
			a.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/nowhere", nil))
			return w.Code, time.Since(began)
		}
		status, took := get()
		require.Equal(t, http.StatusNotFound, status)
		require.Zero(t, took)
		for range promptRefusals {
			status, took = get()
			require.Equal(t, http.StatusTooManyRequests, status)
			require.Zero(t, took, "below the rate of a flood")
		}
		var all sync.WaitGroup
		for range maxPaused {
			all.Go(func() {
				status, took := get()
				assert.Equal(t, http.StatusTooManyRequests, status)
				assert.Equal(t, refusalPause, took)
			})
		}
		synctest.Wait()
		status, took = get()
		require.Equal(t, http.StatusTooManyRequests, status)
		require.Zero(t, took, "above the maximum of delayed answers")
		all.Wait()
		a.Stop()
		for range promptRefusals + 1 {
			status, took = get()
		}
		require.Equal(t, http.StatusTooManyRequests, status)
		require.Zero(t, took, "the service stops")
	})
}

// TestAFloodOfInvalidTokensIsDelayed like one of 429; a request without a token isn't, because
// rejecting it costs little.
func TestAFloodOfInvalidTokensIsDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := auth.New(auth.IssuerConfig{AuthIssuers: `[{"issuer":"https://issuer.example","audience":"test"}]`}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		require.NoError(t, err)
		defer v.Close()
		a := New(Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: v})
		Register(a, huma.Operation{OperationID: "read", Method: http.MethodGet, Path: "/things"}, Needs("x"),
			func(context.Context, *struct{}) (Nothing, error) { return Nothing{}, nil })
		get := func(token string) (took time.Duration) {
			r := httptest.NewRequest(http.MethodGet, "/things", nil)
			if token != "" {
				r.Header.Set("Authorization", token)
			}
			began, w := time.Now(), httptest.NewRecorder()
			a.Handler().ServeHTTP(w, r)
			require.Equal(t, http.StatusUnauthorized, w.Code)
			return time.Since(began)
		}
		for range promptRefusals {
			require.Zero(t, get("Bearer nonsense"), "below the rate of a flood")
		}
		require.Equal(t, refusalPause, get("Bearer nonsense"))
		require.Zero(t, get(""))
	})
}
