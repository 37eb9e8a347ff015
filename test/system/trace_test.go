package system

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/collector"
	"github.com/example/microservices/internal/testkit/process"
)

// tracedServices is both services, which send their traces to a collector.
type tracedServices struct{ users, orders *process.Process }

func startTraced(t *testing.T, endpoint string, address func(testing.TB) string, env ...string) tracedServices {
	t.Helper()
	env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint, "SHUTDOWN_DELAY=0s")
	users := process.Start(t, process.Build(t, "user-service"), append(env, "DATABASE_URL="+address(t))...)
	orders := process.Start(t, process.Build(t, "order-service"), append(env, "DATABASE_URL="+address(t), "USER_SERVICE_URL="+users.URL)...)
	return tracedServices{users, orders}
}

// stop stops both services, which then send their remaining spans.
func (s tracedServices) stop(t *testing.T) {
	t.Helper()
	for _, p := range []*process.Process{s.orders, s.users} {
		require.NoError(t, p.Signal(syscall.SIGTERM))
		require.Equal(t, 0, p.ExitCode(), p.Log())
	}
}

// client sends each request as part of a new trace.
type client struct {
	t *testing.T
	*http.Client
}

// send sends a request, and returns the answer and the trace's id. kept is the sampled flag
// that the client sends.
func (c client) send(method, url, body string, kept bool) (status int, answer, traceID string) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, url, strings.NewReader(body))
	require.NoError(c.t, err)
	request.Header.Set("Content-Type", "application/json")
	traceID = strings.ReplaceAll(uuid.NewString(), "-", "")
	flags := "00"
	if kept {
		flags = "01"
	}
	request.Header.Set("traceparent", "00-"+traceID+"-"+clientSpan+"-"+flags)
	response, err := c.Do(request)
	require.NoError(c.t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return response.StatusCode, string(read), traceID
}

// clientSpan is the id of the client's own span.
const clientSpan = "00f067aa0ba902b7"

func orderFor(user string) string {
	return fmt.Sprintf(`{"user_id":%q,"shipping_address":"12 St James's Square","items":[{"product_id":"p","product_name":"Laptop","quantity":1,"price":1}]}`, user)
}

// scrape returns the metrics with exemplars, and scrapeText in Prometheus' text format.
func scrape(t *testing.T, p *process.Process) string {
	return scrapeAs(t, p, "application/openmetrics-text; version=1.0.0")
}

func scrapeText(t *testing.T, p *process.Process) string { return scrapeAs(t, p, "text/plain") }

func scrapeAs(t *testing.T, p *process.Process, format string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+"/metrics", http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Accept", format)
	response, err := httpClient(t).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// tree returns a trace as text: under each span its children, with service, name and events.
func tree(spans []collector.Span, trace string) string {
	children := map[string][]collector.Span{}
	for _, s := range spans {
		if s.TraceID == trace {
			children[s.Parent] = append(children[s.Parent], s)
		}
	}
	var b strings.Builder
	var write func(parent, indent string)
	write = func(parent, indent string) {
		for _, s := range children[parent] {
			fmt.Fprintf(&b, "%s%s: %s", indent, s.Service, s.Name)
			for _, e := range s.Events {
				b.WriteString(" [" + e + "]")
			}
			b.WriteString("\n")
			write(s.SpanID, indent+"  ")
		}
	}
	write(clientSpan, "")
	return b.String()
}

// TestOneRequestIsOneTrace follows a request to order-service through both services and their
// databases, and checks that traces, logs and exemplars have its trace id.
func TestOneRequestIsOneTrace(t *testing.T) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			receiver := collector.Start(t)
			services := startTraced(t, receiver.URL, address)
			c := client{t, httpClient(t)}
			user := process.CreateUser(t, services.users)
			orders := services.orders.URL + "/api/v1/orders"

			status, made, trace := c.send(http.MethodPost, orders, orderFor(user), true)
			require.Equal(t, http.StatusCreated, status, made)
			_, _, cached := c.send(http.MethodPost, orders, orderFor(user), true)
			status, problem, missing := c.send(http.MethodGet, orders+"/"+uuid.NewString(), "", true)
			require.Equal(t, http.StatusNotFound, status)
			var answer struct {
				TraceID string `json:"trace_id"`
			}
			require.NoError(t, json.Unmarshal([]byte(problem), &answer))
			require.Equal(t, missing, answer.TraceID)

			for _, p := range []*process.Process{services.users, services.orders} {
				apitest.Eventually(t, "the log has the request's line", func() bool { return strings.Contains(p.Log(), `"trace_id":"`+trace+`"`) })
			}
			require.Contains(t, scrape(t, services.users), `trace_id="`+trace+`"`)
			require.Contains(t, scrape(t, services.orders), `trace_id="`+missing+`"`)

			services.stop(t)
			want := strings.Join([]string{
				"order-service: POST /api/v1/orders",
				"  order-service: GET /api/v1/users/:user_id",
				"    user-service: GET /api/v1/users/:user_id",
				queries(kind, "      user-service: ", "GetUser") +
					queries(kind, "  order-service: ", "CreateOrder"),
			}, "\n")
			eventually(t, func() string { return tree(receiver.Spans(t), trace) }, want)
			eventually(t, func() string { return tree(receiver.Spans(t), cached) }, "order-service: POST /api/v1/orders [user was in the cache]\n")
			for _, s := range receiver.Spans(t) {
				for name := range s.Attributes {
					require.NotContains(t, name, "parameter")
				}
			}
		})
	}
}

// eventually waits until a text contains part, because the collector receives spans later.
func eventually(t *testing.T, text func() string, part string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(text(), part) }, time.Minute, 10*time.Millisecond, "%s\nis not in\n%s", part, lazy(text))
}

// lazy is a text that is computed when it is printed.
type lazy func() string

func (l lazy) String() string { return l() }

// queries returns the spans of a query. With PostgreSQL, acquiring a connection is a span too.
func queries(kind, before, name string) string {
	if kind == "postgres" {
		return before + "pool.acquire\n" + before + name + "\n"
	}
	return before + name + "\n"
}

// TestAFailureIsTraced: with a sampling ratio of 0, the trace of a failed request is kept,
// and a client's sampled trace shows the retries.
func TestAFailureIsTraced(t *testing.T) {
	receiver := collector.Start(t)
	services := startTraced(t, receiver.URL, databases["sqlite"], "OTEL_TRACES_SAMPLER_ARG=0")
	c := client{t, httpClient(t)}
	user := process.CreateUser(t, services.users)
	orders := services.orders.URL + "/api/v1/orders"
	services.users.Kill()
	status, _, failed := c.send(http.MethodPost, orders, orderFor(user), false)
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, _, kept := c.send(http.MethodPost, orders, orderFor(user), true)
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, _, fine := c.send(http.MethodGet, orders, "", false)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, services.orders.Signal(syscall.SIGTERM))
	require.Equal(t, 0, services.orders.ExitCode())

	eventually(t, func() string { return tree(receiver.Spans(t), kept) }, "[user-service is asked again]")
	spans := map[string][]collector.Span{}
	for _, s := range receiver.Spans(t) {
		spans[s.TraceID] = append(spans[s.TraceID], s)
	}
	require.Equal(t, "order-service: POST /api/v1/orders\n", tree(receiver.Spans(t), failed), "the span belongs to the client's trace, although that was not sampled")
	require.Contains(t, services.orders.Log(), `"span_id":"`+spans[failed][0].SpanID+`"`)
	require.True(t, spans[failed][0].Failed)
	require.Equal(t, "503", spans[failed][0].Attributes["http.response.status_code"])
	require.Empty(t, spans[fine])
	require.Contains(t, tree(receiver.Spans(t), kept), "\n  order-service: GET /api/v1/users/:user_id\n")
}

// TestAFailingCollectorDelaysNothing: with a failing collector, the services answer and
// stop as they do without one.
func TestAFailingCollectorDelaysNothing(t *testing.T) {
	for name, endpoint := range map[string]func(*testing.T) string{
		"unavailable": func(t *testing.T) string {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			require.NoError(t, listener.Close())
			return "http://" + listener.Addr().String()
		},
		"silent": func(t *testing.T) string {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, listener.Close()) })
			return "http://" + listener.Addr().String() // accepts connections, and never reads
		},
		"rejecting": func(t *testing.T) string {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }))
			t.Cleanup(s.Close)
			return s.URL
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			services := startTraced(t, endpoint(t), databases["sqlite"])
			user := process.CreateUser(t, services.users)
			http := httpClient(t)
			const clients, each = 8, 400 // more spans than the queue holds (2048)
			statuses := make([]map[int]int, clients)
			var wg sync.WaitGroup
			for i := range clients {
				statuses[i] = map[int]int{}
				wg.Go(func() {
					for range each {
						status, _, _ := client{t, http}.send("GET", services.users.URL+"/api/v1/users/"+user, "", true)
						statuses[i][status]++
					}
				})
			}
			wg.Wait()
			for _, s := range statuses {
				require.Equal(t, map[int]int{200: each}, s)
			}
			services.stop(t)
			require.Regexp(t, "can't send traces|traces could not be sent", services.users.Log())
			require.Less(t, strings.Count(services.users.Log(), "can't send traces"), 3, "one line per failure")
		})
	}
}
