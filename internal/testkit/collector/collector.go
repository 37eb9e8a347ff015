// Package collector runs a real OpenTelemetry Collector for a test (.ci/tools/otelcol),
// and returns what it exports.
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

// Collector is a running collector.
type Collector struct {
	// URL is the value for OTEL_EXPORTER_OTLP_ENDPOINT.
	URL string

	mu       sync.Mutex
	received []string
	log      log
}

// log is the collector's own log.
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

// traces configures a collector that exports traces before it answers.
const traces = `
receivers: { otlp: { protocols: { http: { endpoint: "${env:HOST}:0" } } } }
exporters: { otlp_http: { endpoint: "${env:SINK}", encoding: json, sending_queue: { enabled: false } } }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { traces: { receivers: [otlp], exporters: [otlp_http] } }
`

var listens = regexp.MustCompile(`Starting HTTP server.*"endpoint": "([^"]+)"`)

// Start starts a collector for traces on a free port of 127.0.0.1, until the test ends.
func Start(t testing.TB) *Collector {
	t.Helper()
	return StartAt(t, "127.0.0.1")
}

// StartAt is Start at another local address.
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

// Run runs a collector with a configuration (file:… or yaml:…) that exports JSON to
// ${env:SINK}, until the test ends. In env, %SINK% is replaced by the same URL.
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

// Received returns everything exported so far, as text.
func (c *Collector) Received() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.received, "\n")
}

// Spans returns the spans exported so far.
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

// Span is an exported span.
type Span struct {
	Service                 string
	TraceID, SpanID, Parent string
	Name                    string
	// Server and Client tell the kind of the span; an internal span is neither.
	Server, Client, Failed bool
	Attributes             map[string]string
	// Events are the names of the events, in order.
	Events []string
	// Start and End are the times of the span.
	Start, End time.Time
}

// The required parts of OTLP's JSON
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
