// Package collector runs a real OpenTelemetry Collector for a test (.ci/tools/otelcol),
// and gives what it passes on.
package collector

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

// Collector is one that runs, and what it has passed on.
type Collector struct {
	// URL is what OTEL_EXPORTER_OTLP_ENDPOINT is to be.
	URL string

	mu       sync.Mutex
	received []string
	log      log
}

// log is what the collector says of itself.
type log struct {
	mu   sync.Mutex
	said strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.String()
}

// traces is the configuration of a collector that passes traces on before it answers.
const traces = `
receivers: { otlp: { protocols: { http: { endpoint: "${env:HOST}:0" } } } }
exporters: { otlp_http: { endpoint: "${env:SINK}", encoding: json, sending_queue: { enabled: false } } }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { traces: { receivers: [otlp], exporters: [otlp_http] } }
`

var listens = regexp.MustCompile(`Starting HTTP server.*"endpoint": "([^"]+)"`)

// Start starts a collector that takes traces, on a free port of the loopback address;
// it ends with the test.
func Start(t testing.TB) *Collector {
	t.Helper()
	return StartAt(t, "127.0.0.1")
}

// StartAt is Start at another address of this machine.
func StartAt(t testing.TB, host string) *Collector {
	t.Helper()
	c := Run(t, "yaml:"+traces, "HOST="+host)
	apitest.Eventually(t, "the collector listens", func() bool {
		address := listens.FindStringSubmatch(c.log.String())
		if address == nil {
			return false
		}
		c.URL = "http://" + address[1]
		return true
	})
	return c
}

// Run runs a collector with a configuration (file:… or yaml:…), which is to send what
// it has to ${env:SINK} as JSON. In the environment %SINK% stands for the same. It
// ends with the test.
func Run(t testing.TB, config string, env ...string) *Collector {
	t.Helper()
	c := &Collector{}
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := read(r)
		if err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.received = append(c.received, string(body))
		}
	}))
	t.Cleanup(sink.Close)
	root := output(t, "", "go", "list", "-m", "-f", "{{.Dir}}")
	cmd := exec.Command(output(t, root, "./.ci/tool", "--path", "otelcol"), "--config", config)
	cmd.Env = []string{"SINK=" + sink.URL}
	for _, variable := range env {
		cmd.Env = append(cmd.Env, strings.ReplaceAll(variable, "%SINK%", sink.URL))
	}
	cmd.Stdout, cmd.Stderr = &c.log, &c.log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // likewise
		if t.Failed() {
			t.Logf("the collector said:\n%s", c.log.String())
		}
	})
	return c
}

func read(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	unzipped, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unzipped)
}

// Received returns all that has come so far, as it was written.
func (c *Collector) Received() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.received, "\n")
}

// Spans returns the spans that have come so far.
func (c *Collector) Spans(t testing.TB) []Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Span
	for _, message := range c.received {
		spans, err := decode(message)
		require.NoError(t, err)
		all = append(all, spans...)
	}
	return all
}

func output(t testing.TB, dir, name string, arguments ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, arguments...)
	cmd.Dir = dir
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// Span is one of those that were received.
type Span struct {
	Service                 string
	TraceID, SpanID, Parent string
	Name                    string
	// Server and Client say which kind it is; an internal one is neither.
	Server, Client, Failed bool
	Attributes             map[string]string
	// Events are their names, in order.
	Events []string
	// Start and End are when it was.
	Start, End time.Time
}

// The parts of OTLP's JSON that are needed
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
type (
	message struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []attribute }
			ScopeSpans []struct{ Spans []span }
		}
	}
	span struct {
		TraceID      string `json:"traceId"`
		SpanID       string `json:"spanId"`
		ParentSpanID string `json:"parentSpanId"`
		Name         string
		Kind         int
		Attributes   []attribute
		Events       []struct{ Name string }
		Status       struct{ Code int }
		Start        int64 `json:"startTimeUnixNano,string"`
		End          int64 `json:"endTimeUnixNano,string"`
	}
	attribute struct {
		Key   string
		Value map[string]any
	}
)

const (
	kindServer, kindClient = 2, 3
	statusError            = 2
)

func decode(text string) ([]Span, error) {
	var m message
	err := json.Unmarshal([]byte(text), &m)
	if err != nil {
		return nil, err
	}
	var all []Span
	for _, r := range m.ResourceSpans {
		service := values(r.Resource.Attributes)["service.name"]
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				to := Span{
					Service: service, TraceID: s.TraceID, SpanID: s.SpanID, Parent: s.ParentSpanID, Name: s.Name,
					Server: s.Kind == kindServer, Client: s.Kind == kindClient, Failed: s.Status.Code == statusError,
					Attributes: values(s.Attributes), Start: time.Unix(0, s.Start), End: time.Unix(0, s.End),
				}
				for _, e := range s.Events {
					to.Events = append(to.Events, e.Name)
				}
				all = append(all, to)
			}
		}
	}
	return all, nil
}

func values(attributes []attribute) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		for _, v := range a.Value {
			all[a.Key] = fmt.Sprint(v)
		}
	}
	return all
}
