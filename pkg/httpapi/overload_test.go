package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/health"
	"github.com/example/microservices/pkg/overload"
	"github.com/example/microservices/pkg/ratelimit"
)

// crowded is an API with one concurrency slot for reads and one for writes.
type crowded struct {
	t        *testing.T
	url      string
	registry *prometheus.Registry
	log      bytes.Buffer // read it only when no request is in flight
	// A request to /things sends to arrived, and is answered when open is closed.
	arrived chan struct{}
	open    chan struct{}
}

func newCrowded(t *testing.T) *crowded { return newCrowdedFor(t, auth.Open()) }

func newCrowdedFor(t *testing.T, v *auth.Verifier) *crowded {
	c := &crowded{t: t, registry: prometheus.NewRegistry(), arrived: make(chan struct{}), open: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(&c.log, nil))
	limits, err := ratelimit.NewPolicies(ratelimit.PolicyConfig{VolumeLimit: ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 20_000}}, "test", log, prometheus.NewRegistry())
	require.NoError(t, err)
	a := New(Config{
		Limits: limits, Log: log, Metrics: c.registry, Auth: v, BodyTimeout: time.Minute,
		Overload: overload.New(overload.Limits{Min: 1, Max: 1}, c.registry),
	})
	hold := func() (Nothing, error) {
		c.arrived <- struct{}{}
		<-c.open
		return Nothing{}, nil
	}
	Register(a, huma.Operation{OperationID: "read", Method: http.MethodGet, Path: "/things/{id}"}, Needs("x"),
		func(context.Context, *struct {
			ID string `path:"id"`
		}) (Nothing, error) {
			return hold()
		})
	Register(a, huma.Operation{OperationID: "write", Method: http.MethodPost, Path: "/things"}, Needs("x"),
		func(context.Context, *struct{ Body Body[struct{}] }) (Nothing, error) { return hold() })
	Register(a, huma.Operation{OperationID: "panic", Method: http.MethodGet, Path: "/panic"}, Needs("x"),
		func(context.Context, *struct{}) (Nothing, error) { panic("no") })
	RegisterHealth(a, "test", "1", health.NewMonitor(log), c.registry)
	server := httptest.NewServer(a.Handler())
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *crowded) do(method, path string, body io.Reader, headers ...string) (status int, header http.Header, answer string) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, body)
	require.NoError(c.t, err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(c.t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return response.StatusCode, response.Header, string(read)
}

// begin sends a request that blocks in its handler, and returns the channel of its
// status.
func (c *crowded) begin(method, path string, body io.Reader) <-chan int {
	status := make(chan int, 1)
	go func() {
		s, _, _ := c.do(method, path, body)
		status <- s
	}()
	<-c.arrived
	return status
}

// TestABodyCountsWithoutAConcurrencySlot: a body counts even if its request gets no concurrency
// slot, because it was read.
func TestABodyCountsWithoutAConcurrencySlot(t *testing.T) {
	c := newCrowded(t)
	held := c.begin(http.MethodPost, "/things", strings.NewReader(`{}`))
	seen := map[int]int{}
	for range 150 { // each counts 240 KiB
		status, _, _ := c.do(http.MethodPost, "/things", strings.NewReader(strings.Repeat(" ", 60<<10)))
		seen[status]++
	}
	require.Positive(t, seen[http.StatusServiceUnavailable])
	require.Positive(t, seen[http.StatusTooManyRequests], "%v", seen)
	close(c.open)
	require.Equal(t, http.StatusNoContent, <-held)
}

func TestExcessRequestsAreRejectedAtOnce(t *testing.T) {
	c := newCrowded(t)
	read := c.begin(http.MethodGet, "/things/1", nil)
	for range 10 {
		status, header, body := c.do(http.MethodGet, "/things/2", nil)
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Equal(t, "1", header.Get("Retry-After"))
		require.Equal(t, "application/problem+json", header.Get("Content-Type"))
		var p Problem
		require.NoError(t, json.Unmarshal([]byte(body), &p))
		require.Equal(t, header.Get("X-Request-Id"), p.RequestID)
	}
	status, _, _ := c.do(http.MethodHead, "/things/2", nil)
	require.Equal(t, http.StatusServiceUnavailable, status, "HEAD is a read")

	for path, want := range map[string]int{
		"/health": 200, "/health/live": 200, "/health/ready": 200, "/metrics": 200, "/docs": 200, "/openapi.json": 200, "/nothing": 404,
	} {
		status, _, _ := c.do(http.MethodGet, path, nil)
		require.Equal(t, want, status, "%s always answers", path)
	}
	write := c.begin(http.MethodPost, "/things", strings.NewReader("{}"))
	status, _, _ = c.do(http.MethodPost, "/things", strings.NewReader("{}"))
	require.Equal(t, http.StatusServiceUnavailable, status)

	close(c.open)
	require.Equal(t, http.StatusNoContent, <-read)
	require.Equal(t, http.StatusNoContent, <-write)
	go func() { <-c.arrived }()
	status, _, _ = c.do(http.MethodGet, "/things/1", nil)
	require.Equal(t, http.StatusNoContent, status, "the slot is free again")

	counted, err := testutil.GatherAndCount(c.registry, "overload_refused_total")
	require.NoError(t, err)
	require.Equal(t, 4, counted)
	require.NoError(t, testutil.GatherAndCompare(c.registry, strings.NewReader(`
# HELP overload_refused_total Requests rejected because of overload, by kind (read or write) and cause: concurrency (CONCURRENCY_LIMIT) or processor (the CPU queue is too long).
# TYPE overload_refused_total counter
overload_refused_total{cause="concurrency",kind="read"} 11
overload_refused_total{cause="concurrency",kind="write"} 1
overload_refused_total{cause="processor",kind="read"} 0
overload_refused_total{cause="processor",kind="write"} 0
`), "overload_refused_total"))
	lines := strings.Count(c.log.String(), "overloaded")
	require.Positive(t, lines)
	require.Less(t, lines, 12, "rejections must not have a log line each")
	require.NotContains(t, c.log.String(), "status=503")
}

func TestASlowUploadTakesNoSlot(t *testing.T) {
	c := newCrowded(t)
	var uploads []*io.PipeWriter
	statuses := make(chan int, 5)
	for range cap(statuses) {
		body, upload := io.Pipe()
		go func() {
			status, _, _ := c.do(http.MethodPost, "/things", body)
			statuses <- status
		}()
		_, err := upload.Write([]byte("{")) // the rest is sent later
		require.NoError(t, err)
		uploads = append(uploads, upload)
		// Until it waits for the rest, it may have the slot.
		require.Eventually(t, func() bool {
			status, _, _ := c.do(http.MethodPost, "/things", strings.NewReader("no JSON"))
			return status == http.StatusBadRequest
		}, time.Minute, time.Millisecond)
	}
	write := c.begin(http.MethodPost, "/things", strings.NewReader("{}"))

	// The slot is taken: the uploads that are complete now get none in time.
	for _, upload := range uploads {
		_, err := upload.Write([]byte("}"))
		require.NoError(t, err)
		require.NoError(t, upload.Close())
	}
	for range uploads {
		require.Equal(t, http.StatusServiceUnavailable, <-statuses)
	}
	close(c.open)
	require.Equal(t, http.StatusNoContent, <-write)
}

// TestRequestsThatAreNoOperationAreRejectedInAnOverload: while requests wait for a CPU,
// documentation and unknown paths get 503; probes and metrics are answered. The
// goroutines really wait.
func TestRequestsThatAreNoOperationAreRejectedInAnOverload(t *testing.T) {
	c := newCrowded(t)
	status, _, _ := c.do(http.MethodGet, "/nowhere", nil)
	require.Equal(t, http.StatusNotFound, status)
	var done atomic.Bool
	defer done.Store(true)
	for range 100 * runtime.GOMAXPROCS(0) {
		go func() {
			for !done.Load() {
				runtime.Gosched()
			}
		}()
	}
	for _, path := range []string{"/nowhere", "/docs", "/openapi.json"} {
		require.Eventually(t, func() bool {
			status, header, _ := c.do(http.MethodGet, path, nil)
			return status == http.StatusServiceUnavailable && header.Get("Retry-After") != ""
		}, time.Minute, time.Millisecond, path)
		for _, always := range []string{"/health/live", "/metrics"} {
			status, _, _ := c.do(http.MethodGet, always, nil)
			require.Equal(t, http.StatusOK, status, always)
		}
	}
}

func TestAPanicReleasesItsSlot(t *testing.T) {
	c := newCrowded(t)
	for range 3 {
		status, _, _ := c.do(http.MethodGet, "/panic", nil)
		require.Equal(t, http.StatusInternalServerError, status)
	}
	for range 3 {
		status, _, _ := c.do(http.MethodGet, "/panic?unknown=parameter", nil)
		require.Equal(t, http.StatusUnprocessableEntity, status)
	}
}

// TestATokenThatWaitsForItsKeyTakesNoSlot: otherwise a few tokens with made-up key ids
// would block everybody while the issuer is slow.
func TestATokenThatWaitsForItsKeyTakesNoSlot(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	var fetches atomic.Int64
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fetches.Add(1) > 1 {
			asked <- struct{}{}
			<-answer
		}
		i.ServeHTTP(w, r)
	}))
	t.Cleanup(keys.Close)
	release := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(release)
	v, err := auth.New(auth.IssuerConfig{AuthIssuers: i.Setting("test", keys.URL)}, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), auth.Refresh(time.Hour, 0))
	require.NoError(t, err)
	t.Cleanup(v.Close)
	token := func(changes ...func(*issuer.Token)) string {
		token, err := i.Token([]string{"test"}, "someone", "x", changes...)
		require.NoError(t, err)
		return "Bearer " + token
	}
	c := newCrowdedFor(t, v)
	status, _, _ := c.do(http.MethodGet, "/panic", nil, "Authorization", token())
	require.Equal(t, http.StatusInternalServerError, status, "the keys are there")

	waiting := make(chan int)
	go func() {
		status, _, _ := c.do(http.MethodGet, "/panic", nil, "Authorization", token(func(t *issuer.Token) { t.Header["kid"] = "made-up" }))
		waiting <- status
	}()
	<-asked
	status, _, _ = c.do(http.MethodGet, "/panic", nil, "Authorization", token())
	require.Equal(t, http.StatusInternalServerError, status)
	release()
	require.Equal(t, http.StatusUnauthorized, <-waiting)
}
