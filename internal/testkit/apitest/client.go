package apitest

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Client sends requests to a service and checks the answers.
type Client struct {
	t        testing.TB
	document *Document
	base     string
	http     *http.Client
}

// NewClient returns a client of the service at base, such as http://127.0.0.1:8000. Its
// connections are closed at the end of the test. A nil document isn't checked.
func NewClient(t testing.TB, document *Document, base string) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return &Client{t: t, document: document, base: base, http: &http.Client{Transport: transport}}
}

// For returns the client for another test.
func (c *Client) For(t testing.TB) *Client {
	other := *c
	other.t = t
	return &other
}

// Answer is the answer to a request.
type Answer struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   []byte
}

// Problem is an error as a client sees it.
type Problem struct {
	Title, Detail string
	Status        int
	Errors        []struct{ Location, Message string }
	RequestID     string `json:"request_id"`
}

// Do sends a request. A body that is neither a string nor nil is sent as JSON. The
// default Content-Type of a body is application/json.
func (c *Client) Do(method, path string, body any, headers ...string) *Answer {
	c.t.Helper()
	answer, err := c.Try(method, path, body, headers...)
	require.NoError(c.t, err)
	return answer
}

// RejectsConditions requires that requests about what has no ETag fail with 412 if they
// have a precondition that can't hold, instead of ignoring it.
func (c *Client) RejectsConditions(method string, body any, paths ...string) {
	c.t.Helper()
	for _, path := range paths {
		c.Do(method, path, body, "If-Match", `"1"`).Want(http.StatusPreconditionFailed)
		exists := c.Do(method, path, body, "If-Match", "*")
		require.Equal(c.t, method != http.MethodGet, exists.Status == http.StatusPreconditionFailed, "%s %s: %d", method, path, exists.Status)
		none := c.Do(method, path, body, "If-None-Match", "*")
		require.Equal(c.t, method != http.MethodGet, none.Status == http.StatusPreconditionFailed, "%s %s: %d", method, path, none.Status)
	}
}

// DoReader is Do with a body that is read while it is sent.
func (c *Client) DoReader(method, path string, body io.Reader, headers ...string) *Answer {
	c.t.Helper()
	answer, err := c.send(method, path, body, headers)
	require.NoError(c.t, err)
	return answer
}

// Try is Do for requests that may get no answer.
func (c *Client) Try(method, path string, body any, headers ...string) (*Answer, error) {
	c.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		require.NoError(c.t, err)
		reader = strings.NewReader(string(encoded))
	}
	return c.send(method, path, reader, headers)
}

func (c *Client) send(method, path string, body io.Reader, headers []string) (*Answer, error) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, c.base+path, body)
	require.NoError(c.t, err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	given := http.Header{} // a header may be given several times
	for i := 0; i+1 < len(headers); i += 2 {
		given.Add(headers[i], headers[i+1])
	}
	maps.Copy(request.Header, given)
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if c.document != nil {
		c.document.check(c.t, request, response, read)
	}
	if response.StatusCode >= http.StatusBadRequest && !strings.HasPrefix(path, "/health") {
		c.checkProblem(response, read)
	}
	return &Answer{t: c.t, Status: response.StatusCode, Header: response.Header, Body: read}, nil
}

// checkProblem checks what the document can't express about errors.
func (c *Client) checkProblem(response *http.Response, body []byte) {
	c.t.Helper()
	require.Equal(c.t, "application/problem+json", response.Header.Get("Content-Type"))
	var p Problem
	require.NoError(c.t, json.Unmarshal(body, &p))
	require.Equal(c.t, response.StatusCode, p.Status)
	require.Equal(c.t, http.StatusText(p.Status), p.Title)
	require.NotEmpty(c.t, p.Detail)
	require.Equal(c.t, response.Header.Get("X-Request-Id"), p.RequestID)
	if p.Status == http.StatusServiceUnavailable {
		require.NotEmpty(c.t, response.Header.Get("Retry-After"))
	}
	for _, internal := range []string{"sql", "SQL", "pgx", "goroutine", ".go:", "dial", "connection refused", "huma"} {
		require.NotContains(c.t, string(body), internal, "an internal message leaks")
	}
}

// Want fails the test unless the answer has the status.
func (a *Answer) Want(status int) *Answer {
	a.t.Helper()
	require.Equal(a.t, status, a.Status, "%s", a.Body)
	return a
}

// Decode decodes the body into dst.
func (a *Answer) Decode(dst any) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal(a.Body, dst), "%s", a.Body)
}

// Object returns the body as an object. Numbers keep their text.
func (a *Answer) Object() map[string]any {
	a.t.Helper()
	var object map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(a.Body)))
	decoder.UseNumber()
	require.NoError(a.t, decoder.Decode(&object), "%s", a.Body)
	return object
}

// ID returns the body's id.
func (a *Answer) ID() string {
	a.t.Helper()
	id, ok := a.Object()["id"].(string)
	require.True(a.t, ok, "%s", a.Body)
	return id
}

// Locations returns the locations in an error.
func (a *Answer) Locations() []string {
	a.t.Helper()
	var p Problem
	a.Decode(&p)
	locations := make([]string, len(p.Errors))
	for i, e := range p.Errors {
		locations[i] = e.Location
	}
	return locations
}

// Detail returns the detail of an error.
func (a *Answer) Detail() string {
	a.t.Helper()
	var p Problem
	a.Decode(&p)
	return p.Detail
}
