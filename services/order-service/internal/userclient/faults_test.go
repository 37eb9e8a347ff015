package userclient

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/resilience"
)

// patience is how long a test waits for something that must happen, even on a busy machine.
const patience = time.Minute

// Network faults: what callers of a user-service get that is down, hung, slow or broken, and
// that the client recovers by itself when the fault ends.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name    string
		toxic   string // "" for a user-service that is down
		outcome outcome
		alive   bool // the liveness probe needs only the status, so it may succeed
	}{
		{name: "down", outcome: network},
		{name: "hung", toxic: `{"name":"x","type":"timeout","attributes":{"timeout":0}}`, outcome: timeout},
		{name: "hung, the request not even read", toxic: `{"name":"x","type":"timeout","stream":"upstream","attributes":{"timeout":0}}`, outcome: timeout},
		{name: "closing without an answer", toxic: `{"name":"x","type":"timeout","attributes":{"timeout":1}}`, outcome: network},
		{name: "slow", toxic: `{"name":"x","type":"latency","attributes":{"latency":3600000}}`, outcome: timeout},
		{name: "resetting", toxic: `{"name":"x","type":"reset_peer","attributes":{"timeout":0}}`, outcome: network},
		{name: "breaking off in the middle of the answer", toxic: `{"name":"x","type":"limit_data","attributes":{"bytes":200}}`, outcome: network, alive: true},
		{name: "dripping", toxic: `{"name":"x","type":"slicer","attributes":{"average_size":1,"delay":1000000}}`, outcome: timeout},
		{name: "with a low bandwidth", toxic: `{"name":"x","type":"bandwidth","attributes":{"rate":1}}`, outcome: timeout, alive: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			proxy, _ := newProxy(t, knowsEveryoneAtLength)
			cfg := at("http://" + proxy.Listen)
			cfg.Timeout, cfg.TryTimeout, cfg.CacheTTL = time.Second, 200*time.Millisecond, time.Hour
			cfg.BreakerMinimum, cfg.BreakerOpen = 4, 100*time.Millisecond
			c := newClient(t, cfg)
			known := uuid.New()
			until(t, func() bool { return c.Verify(t.Context(), known) == nil })

			if test.toxic == "" {
				proxy.Stop()
			} else {
				_, err := proxy.Toxics.AddToxicJson(strings.NewReader(test.toxic))
				require.NoError(t, err)
			}
			// Until it has opened, half-opened and opened again.
			probed := c.metrics.transitions.WithLabelValues("half-open", "open")
			until(t, func() bool {
				requireUnavailable(t, verifyNew(t.Context(), c))
				return testutil.ToFloat64(probed) > 0
			})
			require.Positive(t, testutil.ToFloat64(c.metrics.requests[test.outcome]), "as %v", test.outcome)
			require.Positive(t, testutil.ToFloat64(c.metrics.requests[breakerOpen]))
			if !test.alive {
				require.Error(t, c.Ready(t.Context()))
			}
			require.NoError(t, c.Verify(t.Context(), known), "the cached user is still known")

			if test.toxic == "" {
				require.NoError(t, proxy.Start())
			} else {
				require.NoError(t, proxy.Toxics.RemoveToxic(t.Context(), "x"))
			}
			until(t, func() bool {
				return verifyNew(t.Context(), c) == nil && c.breaker.State() == resilience.Closed
			})
			until(t, func() bool { return c.Ready(t.Context()) == nil })
		})
	}
}

// A response in many small pieces, or after a delay, is valid.
func TestASlowOrSplitAnswerIsNoFault(t *testing.T) {
	for _, test := range []struct{ name, toxic string }{
		{"sliced", `{"name":"x","type":"slicer","attributes":{"average_size":7,"size_variation":3,"delay":10}}`},
		{"late", `{"name":"x","type":"latency","attributes":{"latency":30,"jitter":20}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			proxy, requests := newProxy(t, knowsEveryone)
			_, err := proxy.Toxics.AddToxicJson(strings.NewReader(test.toxic))
			require.NoError(t, err)
			c := newClient(t, patient("http://"+proxy.Listen))
			for range 5 {
				require.NoError(t, verifyNew(t.Context(), c))
			}
			require.EqualValues(t, 5, requests.Load())
		})
	}
}

// until calls condition until it is true.
func until(t *testing.T, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the condition never became true")
		}
	}
}

// knowsEveryoneAtLength responds with some 10 KB, enough for the bandwidth to matter.
func knowsEveryoneAtLength(w http.ResponseWriter, r *http.Request) {
	knowsEveryone(w, r)
	_, _ = io.WriteString(w, strings.Repeat(" ", 10_000))
}

// newProxy returns a proxy to a user-service with the given handler, and the number of
// requests that reached it.
func newProxy(t *testing.T, handler http.HandlerFunc) (*toxiproxy.Proxy, *atomic.Int64) {
	t.Helper()
	requests := &atomic.Int64{}
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler(w, r)
	})
	control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(control, "user-service", "127.0.0.1:0", server.Listener.Addr().String())
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	return proxy, requests
}
