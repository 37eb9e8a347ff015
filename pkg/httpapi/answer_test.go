package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/health"
	"github.com/example/microservices/pkg/overload"
	"github.com/example/microservices/pkg/ratelimit"
)

// generous is an API whose operations have large answers. The number of requests to one is
// unlimited.
type generous struct {
	url, token, other string
	registry          *prometheus.Registry
	limits            *ratelimit.Policies
	log               lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const largeAnswer = 8 << 20

func newGenerous(t *testing.T, limit, volume ratelimit.Limit) *generous {
	i, err := issuer.New()
	require.NoError(t, err)
	keys := httptest.NewServer(i)
	t.Cleanup(keys.Close)
	v, err := auth.New(auth.IssuerConfig{AuthIssuers: i.Setting("test", keys.URL)}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	t.Cleanup(v.Close)
	c := &generous{registry: prometheus.NewRegistry()}
	c.limits, err = ratelimit.NewPolicies(ratelimit.PolicyConfig{ReadLimit: limit, VolumeLimit: volume, FailureLimit: ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 3}}, "test", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	a := New(Config{
		Log: slog.New(slog.NewTextHandler(&c.log, nil)), Metrics: c.registry, Auth: v, Limits: c.limits, BodyTimeout: time.Minute,
		// Each caller has memory for one request.
		Overload: overload.New(overload.Limits{Min: 500, Max: 500}, c.registry),
		Memory:   overload.NewMemory(overload.MemoryConfig{RequestMemoryMiB: 4 * largeAnswer >> 20}, c.registry),
	})
	for path, rule := range map[string]Rule{"/things": Needs("x"), "/unlimited": Needs("x").Unlimited("x")} {
		Register(a, huma.Operation{OperationID: "read" + path[1:], Method: http.MethodGet, Path: path}, rule.Memory(largeAnswer), func(context.Context, *struct{}) (Resource[string], error) {
			return NewResource(1, strings.Repeat("x", largeAnswer)), nil
		})
	}
	RegisterHealth(a, "test", "1", health.NewMonitor(slog.New(slog.DiscardHandler)), c.registry)
	server := httptest.NewServer(a.Handler())
	t.Cleanup(server.Close)
	c.url = server.URL
	for name, token := range map[string]*string{"ada": &c.token, "grace": &c.other} {
		*token, err = i.Token([]string{"test"}, name, "x")
		require.NoError(t, err)
	}
	return c
}

func (c *generous) get(t *testing.T, path, token string, headers ...string) (int, http.Header, int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+path, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept-Encoding", "identity")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header, len(body)
}

// TestMemoryIsHeldUntilTheAnswerIsWritten: a caller who doesn't read its answer gets no
// second one, other callers do. It is logged as 499 when it leaves.
func TestMemoryIsHeldUntilTheAnswerIsWritten(t *testing.T) {
	c := newGenerous(t, ratelimit.Limit{}, ratelimit.Limit{})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(c.url, "http://"))
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "GET /things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", c.token)
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1000))
	require.NoError(t, err, "the answer has begun")

	status, header, _ := c.get(t, "/things", c.token)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "1", header.Get("Retry-After"))
	status, header, size := c.get(t, "/things", c.other)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Greater(t, size, largeAnswer)

	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { return strings.Contains(c.log.String(), "status=499") }, time.Minute, time.Millisecond, "an unread answer is logged as 499")
	require.Eventually(t, func() bool {
		status, _, _ := c.get(t, "/things", c.token)
		return status == http.StatusOK
	}, time.Minute, time.Millisecond, "the memory is free again")
	count, err := testutil.GatherAndCount(c.registry, "request_memory_refused_total")
	require.NoError(t, err)
	require.Equal(t, 2, count)
}

// TestACallerAboveItsVolumeIsRejected: a caller beyond its volume gets 429, other callers are not
// affected.
func TestACallerAboveItsVolumeIsRejected(t *testing.T) {
	c := newGenerous(t, ratelimit.Limit{}, ratelimit.Limit{Requests: 10, Period: time.Hour, Burst: 2 * largeAnswer >> 10})
	for _, token := range []string{c.token, c.other} {
		for range 2 {
			status, _, _ := c.get(t, "/things", token)
			require.Equal(t, http.StatusOK, status)
		}
		status, header, _ := c.get(t, "/things", token)
		require.Equal(t, http.StatusTooManyRequests, status)
		require.NotEmpty(t, header.Get("Retry-After"))
	}
}

// TestAServiceIsLimitedInBytes: the scope that exempts a service from the limit of requests
// doesn't exempt it from the limit of bytes. It could otherwise keep the processor busy
// with the feed of events, which takes no concurrency slot.
func TestAServiceIsLimitedInBytes(t *testing.T) {
	c := newGenerous(t, ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 1}, ratelimit.Limit{Requests: 10, Period: time.Hour, Burst: 2 * largeAnswer >> 10})
	for _, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		status, _, _ := c.get(t, "/unlimited", c.token)
		require.Equal(t, want, status)
	}
	status, _, _ := c.get(t, "/unlimited", c.other)
	require.Equal(t, http.StatusOK, status)
}

// TestSignaturesAreVerifiedWithinALimit: while requests wait for a CPU, an address that
// sends invalid tokens gets 429. Otherwise it gets 401 only, so clients that share the
// address aren't locked out. A token that was verified before is never rejected for this.
// The goroutines really wait.
func TestSignaturesAreVerifiedWithinALimit(t *testing.T) {
	c := newGenerous(t, ratelimit.Limit{}, ratelimit.Limit{})
	status, _, _ := c.get(t, "/things", c.token)
	require.Equal(t, http.StatusOK, status)
	parts := strings.Split(c.token, ".")
	bad := func(i int) string {
		return parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])-3) + string(rune('A'+i%26)) + string(rune('A'+i/26%26)) + "A"
	}
	for i := range 10 {
		status, _, _ := c.get(t, "/things", bad(i))
		require.Equal(t, http.StatusUnauthorized, status)
	}
	var done atomic.Bool
	defer done.Store(true)
	for range 100 * runtime.GOMAXPROCS(0) {
		go func() {
			for !done.Load() {
				runtime.Gosched()
			}
		}()
	}
	var sent, refused atomic.Int64
	sent.Store(10)
	var all sync.WaitGroup
	for range 50 { // in parallel, because each rejection is delayed
		all.Go(func() {
			for refused.Load() == 0 && sent.Load() < 10_000 {
				status, header, _ := c.get(t, "/things", bad(int(sent.Add(1))))
				if status == http.StatusTooManyRequests && header.Get("Retry-After") != "" {
					refused.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.Positive(t, refused.Load())
	status, _, _ = c.get(t, "/things", c.token)
	require.NotEqual(t, http.StatusTooManyRequests, status)
}

// TestRequestsThatAreNoOperationAreLimited: documentation, metrics and unknown paths are limited by
// address and by size, probes never.
func TestRequestsThatAreNoOperationAreLimited(t *testing.T) {
	limit, volume := ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 150}, ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 1200}
	for path, most := range map[string]int{"/docs/swagger-ui-bundle.js": 1, "/metrics": 3, "/nowhere": 150} {
		c := newGenerous(t, limit, volume)
		answered := 0
		for range 160 {
			status, _, _ := c.get(t, path, c.token)
			if status != http.StatusTooManyRequests {
				answered++
			}
		}
		require.LessOrEqual(t, answered, most, path)
		require.Positive(t, answered)
		status, _, _ := c.get(t, "/health/live", c.token)
		require.Equal(t, http.StatusOK, status)
		status, _, _ = c.get(t, "/things", c.token)
		require.Equal(t, http.StatusOK, status, "the operation is limited by token, not by address")
	}
}

// TestAssetsAreSentOnce: assets are compressed, and answered with 304 to a client that
// has them.
func TestAssetsAreSentOnce(t *testing.T) {
	c := newGenerous(t, ratelimit.Limit{}, ratelimit.Limit{})
	for _, path := range []string{"/docs", "/docs/start.js", "/docs/style.css", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/favicon-32x32.png", "/openapi.json", "/openapi.yaml"} {
		status, plain, size := c.get(t, path, c.token)
		require.Equal(t, http.StatusOK, status, path)
		require.Empty(t, plain.Get("Content-Encoding"))
		status, packed, small := c.get(t, path, c.token, "Accept-Encoding", "br;q=1, gzip;q=0.8")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "Accept-Encoding", packed.Get("Vary"))
		if packed.Get("Content-Encoding") == "gzip" {
			require.Less(t, small, size)
			require.NotEqual(t, plain.Get("Etag"), packed.Get("Etag"))
		} else {
			require.Equal(t, "/docs/favicon-32x32.png", path, "only this asset is not smaller when compressed")
		}
		status, _, size = c.get(t, path, c.token, "If-None-Match", plain.Get("Etag"))
		require.Equal(t, http.StatusNotModified, status, path)
		require.Zero(t, size)
		status, _, _ = c.get(t, path, c.token, "If-None-Match", `"another"`)
		require.Equal(t, http.StatusOK, status)
		for _, tags := range []string{"*", plain.Get("Etag"), `"another", ` + plain.Get("Etag")} {
			status, _, _ = c.get(t, path, c.token, "If-Match", tags)
			require.Equal(t, http.StatusOK, status, tags)
		}
		for _, tags := range []string{`"another"`, "W/" + plain.Get("Etag"), packed.Get("Etag") + "-", ""} {
			status, header, _ := c.get(t, path, c.token, "If-Match", tags)
			require.Equal(t, http.StatusPreconditionFailed, status, tags)
			require.Equal(t, []string{plain.Get("Etag")}, header.Values("Etag"))
		}
		status, header, _ := c.get(t, path, c.token, "Accept-Encoding", "gzip;q=0")
		require.Equal(t, http.StatusOK, status)
		require.Empty(t, header.Get("Content-Encoding"))
	}
}
