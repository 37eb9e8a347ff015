package load

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serve answers with a body of a length, and counts the requests.
func serve(t *testing.T, status, length int) (address string, served *atomic.Int64) {
	served = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(strings.Repeat("x", length)))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), served
}

func TestRunCountsEveryAnswer(t *testing.T) {
	for name, length := range map[string]int{"empty": 0, "with a length": 100, "in chunks": 100_000} {
		t.Run(name, func(t *testing.T) {
			address, served := serve(t, http.StatusOK, length)
			r, err := Run(t.Context(), Plan{
				Address: address, Connections: 3, For: time.Millisecond, Status: http.StatusOK,
				Append: func(b []byte, _ int) []byte { return append(b, Get("/")...) },
			})
			require.NoError(t, err)
			require.GreaterOrEqual(t, r.Requests, 3)
			require.EqualValues(t, r.Requests, served.Load())
			require.Len(t, r.Latencies, r.Requests)
			require.Positive(t, r.PerSecond())
			require.LessOrEqual(t, r.Percentile(50), r.Percentile(100))
		})
	}
}

func TestRunRefusesAnotherStatus(t *testing.T) {
	address, _ := serve(t, http.StatusTeapot, 10)
	_, err := Run(t.Context(), Plan{
		Address: address, Connections: 1, Status: http.StatusOK,
		Append: func(b []byte, _ int) []byte { return AppendPost(b, "/", []byte("{}")) },
	})
	require.ErrorContains(t, err, "answered 418 instead of 200")
}

func TestWhole(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		ok     bool
	}{
		"nothing":                 {"", false},
		"half a header":           {"HTTP/1.1 200 OK\r\nContent-Le", false},
		"a length, no body yet":   {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false},
		"a length, half a body":   {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", false},
		"a length, a body":        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true},
		"no body":                 {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true},
		"a chunk":                 {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", false},
		"half of the last chunk":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", false},
		"all chunks":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", true},
		"a chunk with line ends":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0\r\n\r\r\n0\r\n\r\n", true},
		"a header in the chunks.": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nContent-Length: 9999\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			status, ok, err := whole([]byte(c.answer))
			require.NoError(t, err)
			require.Equal(t, c.ok, ok)
			if ok {
				require.Equal(t, 200, status)
			}
		})
	}
	for name, answer := range map[string]string{
		"no length":        "HTTP/1.1 200 OK\r\nDate: now\r\n\r\n",
		"not HTTP":         "SSH-2.0-OpenSSH_9.2 hello\r\n\r\n",
		"a size like none": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := whole([]byte(answer))
			require.Error(t, err)
		})
	}
}

func TestRunOpenKeepsToItsRate(t *testing.T) {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.Close)
	r, err := RunOpen(t.Context(), OpenPlan{
		Address: s.Listener.Addr().String(), Connections: 8, Rate: 500, For: 200 * time.Millisecond,
		Append: func(b []byte) []byte { return append(b, Get("/")...) },
	})
	require.NoError(t, err)
	require.InDelta(t, 100, r.Due, 30, "about the rate: the times are random, with a fixed seed")
	require.EqualValues(t, r.Due-r.Unsent, n.Load())
	require.Len(t, r.Latencies, 2)
	require.Equal(t, r.Due-r.Unsent, len(r.Latencies[http.StatusOK])+len(r.Latencies[http.StatusServiceUnavailable]))
	require.LessOrEqual(t, r.Percentile(http.StatusOK, 50), r.Percentile(http.StatusOK, 99))
}

func TestRunOpenDoesNotWaitForASlowServer(t *testing.T) {
	release := make(chan struct{})
	begin := sync.OnceFunc(func() { time.AfterFunc(500*time.Millisecond, func() { close(release) }) })
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		begin()
		<-release
	}))
	t.Cleanup(s.Close)
	r, err := RunOpen(t.Context(), OpenPlan{
		Address: s.Listener.Addr().String(), Connections: 3, Rate: 1000, For: 100 * time.Millisecond,
		Append: func(b []byte) []byte { return append(b, Get("/")...) },
	})
	require.NoError(t, err)
	require.InDelta(t, 100, r.Due, 30, "about the rate: the times are random, with a fixed seed")
	require.GreaterOrEqual(t, r.Unsent, r.Due-3, "three are in flight, and none is answered in time")
}
