package apitest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/pkg/telemetry"
)

// Handler builds a service as in production, including its log, and returns its handler.
// If limited is set, the rate limits allow one request an hour; otherwise they are
// counted, but never reached.
func Handler(tb testing.TB, p service.Program, limited bool) http.Handler {
	tb.Helper()
	c := p.Config.Common()
	limit := ratelimit.Limit{Requests: 1_000_000, Period: 1e9, Burst: 1_000_000}
	if limited {
		limit = ratelimit.Limit{Requests: 1, Period: 3600e9, Burst: 1}
	}
	c.ReadLimit, c.WriteLimit, c.VolumeLimit = limit, limit, limit
	log := telemetry.NewLogger(io.Discard, telemetry.LogConfig{Level: "info", Format: "json"}, p.Name, "test")
	app, err := p.Build(tb.Context(), log, telemetry.NewRegistry(p.Name, "test"))
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, app.Close()) })
	return app.Handler
}

// Call is a request to a handler in this process that can be repeated, with almost no
// allocations besides the handler's. It is not safe for concurrent use.
type Call struct {
	// Status and Answer are those of the last response.
	Status int
	Answer bytes.Buffer

	handler http.Handler
	request *http.Request
	header  http.Header
	body    bytes.Reader
}

// NewCall returns a request without a body. headers are names and values.
func NewCall(tb testing.TB, handler http.Handler, method, path string, headers ...string) *Call {
	tb.Helper()
	target, err := url.ParseRequestURI(path)
	require.NoError(tb, err)
	c := &Call{handler: handler, header: http.Header{}}
	c.request = (&http.Request{
		Method: method, URL: target, RequestURI: path, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Host: "localhost", RemoteAddr: "127.0.0.1:50000", Body: http.NoBody,
	}).WithContext(tb.Context())
	for i := 0; i < len(headers); i += 2 {
		c.request.Header.Set(headers[i], headers[i+1])
	}
	return c
}

// Send sends the request with a body and additional headers (names and values).
func (c *Call) Send(body []byte, headers ...string) {
	c.body.Reset(body)
	c.request.Body, c.request.ContentLength = io.NopCloser(&c.body), int64(len(body))
	for i := 0; i < len(headers); i += 2 {
		c.request.Header.Set(headers[i], headers[i+1])
	}
	c.Do()
}

// Do sends the request again.
func (c *Call) Do() {
	clear(c.header)
	c.Answer.Reset()
	c.Status = http.StatusOK
	c.handler.ServeHTTP(c, c.request)
}

// Header implements http.ResponseWriter.
func (c *Call) Header() http.Header { return c.header }

// WriteHeader implements http.ResponseWriter.
func (c *Call) WriteHeader(status int) { c.Status = status }

// Write implements http.ResponseWriter.
func (c *Call) Write(p []byte) (int, error) { return c.Answer.Write(p) }

// Flush implements http.Flusher.
func (c *Call) Flush() {}
