package main

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/overload"
	"github.com/example/microservices/pkg/service"
)

func TestProbes(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		want := `{"status":"ok","service":"user-service","version":"` + service.Version() + `","auth":"open"}`
		require.JSONEq(t, want, string(s.Do(http.MethodGet, "/health", nil).Want(http.StatusOK).Body))
		require.JSONEq(t, want, string(s.Do(http.MethodGet, "/health/live", nil).Want(http.StatusOK).Body))
		apitest.Eventually(t, "ready", func() bool { return s.Do(http.MethodGet, "/health/ready", nil).Status == http.StatusOK })
		require.JSONEq(t, `{"status":"ready","dependencies":{"database":"up"}}`, string(s.Do(http.MethodGet, "/health/ready", nil).Body))
		s.Do(http.MethodGet, "/health/ready?at=1", nil).Want(http.StatusOK)
		s.app.Monitor.Drain()
		s.Do(http.MethodGet, "/health/ready", nil).Want(http.StatusServiceUnavailable)
		s.Do(http.MethodGet, "/health/live", nil).Want(http.StatusOK)
	})
}

func TestErrorsOfTheRouter(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	for _, path := range []string{"/", "/nothing", "/api/v1/users/", "/api/v2/users", "/api/v1/users/" + unknown + "/x", "/docs/nothing", "/health/x"} {
		s.Do(http.MethodGet, path, nil).Want(http.StatusNotFound)
	}
	// RFC 3986, section 2.2, and 6.2.2.2.
	for path, want := range map[string]int{"/health%2fready": 404, "/api%2Fv1/users": 404, "/%68ealth/live": 200, "/api/v1/users/a%2fb": 422} {
		response, err := http.Get("http://" + s.Address + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, path)
	}
	for path, allow := range map[string]string{
		users: "GET, HEAD, POST", users + "/" + unknown: "DELETE, GET, HEAD, PATCH, PUT",
		users + "/existing": "GET, HEAD", users + "/events": "GET, HEAD", // not those of a user called events
	} {
		supported := strings.Split(allow, ", ")
		for _, method := range []string{http.MethodOptions, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if slices.Contains(supported, method) {
				continue
			}
			answer := s.Do(method, path, nil).Want(http.StatusMethodNotAllowed)
			require.ElementsMatch(t, supported, strings.Split(answer.Header.Get("Allow"), ", "), "%s %s", method, path)
		}
	}
}

// endless is a body without an end, of unknown length.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestInvalidBodies(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	created := s.Do(http.MethodPost, users, person("first@example.com")).Want(http.StatusCreated)
	for _, op := range [][2]string{{http.MethodPost, users}, {http.MethodPut, users + "/" + created.ID()}, {http.MethodPatch, users + "/" + created.ID()}, {http.MethodPut, consumer}} {
		method, path := op[0], op[1]
		for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/xml", "x"} {
			s.Do(method, path, `{}`, "Content-Type", contentType).Want(http.StatusUnsupportedMediaType)
		}
		s.Do(method, path, `{}`, "Content-Encoding", "gzip").Want(http.StatusUnsupportedMediaType)
		s.Do(method, path, `{}`, "Content-Encoding", "identity", "Content-Encoding", "gzip").Want(http.StatusUnsupportedMediaType)
		s.Do(method, path, `{}`, "Content-Type", "application/json", "Content-Type", "text/plain").Want(http.StatusUnsupportedMediaType)
		require.Contains(t, s.Do(method, path, `{}`, "Content-Range", "bytes 0-1/9").Want(http.StatusBadRequest).Detail(), "Content-Range")
		s.Do(method, path, `{}`, "Content-Type", "application/json-patch+json").Want(http.StatusUnsupportedMediaType)
		fits := []string{"Application/JSON; charset=UTF-8", "application/JSON"}
		refused := []*apitest.Answer{s.Do(method, path, `{}`, "Content-Type", "text/plain")}
		if method == http.MethodPatch {
			fits = append(fits, "application/merge-patch+json")
			refused = append(refused, s.Do(method, path, `{}`, "Content-Type", "application/json; charset=latin1"))
			for _, answer := range refused {
				require.Equal(t, "application/json, application/merge-patch+json", answer.Header.Get("Accept-Patch"), "RFC 5789, section 3.1")
				require.Empty(t, answer.Header.Get("Accept"))
			}
		} else {
			s.Do(method, path, `{}`, "Content-Type", "application/merge-patch+json").Want(http.StatusUnsupportedMediaType)
			require.Equal(t, "application/json", refused[0].Header.Get("Accept"))
		}
		require.Equal(t, "identity", s.Do(method, path, `{}`, "Content-Encoding", "gzip").Header.Get("Accept-Encoding"), "RFC 9110, section 15.5.16")
		for _, fit := range fits {
			require.NotEqual(t, http.StatusUnsupportedMediaType, s.Do(method, path, `{}`, "Content-Type", fit, "Content-Encoding", "Identity").Status)
		}
		s.Do(method, path, strings.Repeat(" ", 64<<10)+" ").Want(http.StatusRequestEntityTooLarge)
		s.DoReader(method, path, io.LimitReader(endless{}, 10<<20)).Want(http.StatusRequestEntityTooLarge)
		s.Do(method, path, strings.Repeat(" ", 64<<10)).Want(http.StatusBadRequest)
		s.Do(method, path, ``).Want(http.StatusBadRequest)
	}
	whole := person("second@example.com")
	body := fmt.Sprintf(`{"name":"%s","email":"%s"}`, whole["name"], whole["email"])
	s.Do(http.MethodPost, users, body+strings.Repeat(" ", 64<<10-len(body))).Want(http.StatusCreated)
}

// TestLimitsOfTheServer sends raw HTTP that well-behaved clients don't send.
func TestLimitsOfTheServer(t *testing.T) {
	s := start(t, databases["sqlite"](t), func(c *configuration) {
		c.HeaderTimeout, c.BodyTimeout = 300*time.Millisecond, 50*time.Millisecond
	})
	speak := func(t *testing.T, text string) *http.Response {
		conn, err := net.Dial("tcp", s.Address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	t.Run("headers over 16 KiB", func(t *testing.T) {
		response := speak(t, "GET /health HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 16<<10)+"\r\n\r\n")
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
	})
	t.Run("headers of nearly 16 KiB", func(t *testing.T) {
		response := speak(t, "GET /health HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 16<<10-200)+"\r\n\r\n")
		require.Equal(t, http.StatusOK, response.StatusCode)
	})
	t.Run("headers that don't end", func(t *testing.T) {
		s := start(t, databases["sqlite"](t), func(c *configuration) { c.HeaderTimeout, c.BodyTimeout = 300*time.Millisecond, time.Hour })
		conn, err := net.Dial("tcp", s.Address)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\nX: ")
		require.NoError(t, err)
		_, err = http.ReadResponse(bufio.NewReader(conn), nil)
		require.Error(t, err, "it is cut off")
	})
	t.Run("a broken chunk", func(t *testing.T) {
		response := speak(t, "POST "+users+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		require.Equal(t, http.StatusBadRequest, response.StatusCode)
		require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
	})
	path := users + "/" + unknown
	for _, op := range [][2]string{{http.MethodPost, users}, {http.MethodPut, path}, {http.MethodPatch, path}, {http.MethodPut, consumer}} {
		method, path := op[0], op[1]
		t.Run("a body that doesn't come: "+method, func(t *testing.T) {
			// With the client, which validates responses against the OpenAPI document.
			pipe, writer := io.Pipe()
			defer func() { _ = writer.Close() }()
			answer := s.For(t).DoReader(method, path, pipe)
			answer.Want(http.StatusRequestTimeout)
		})
	}
}

// TestAClientThatHalfClosesGetsAWholeAnswerOrNone: a client that closes its sending side after
// the request looks like one that has left.
func TestAClientThatHalfClosesGetsAWholeAnswerOrNone(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		id, answered := s.Do(http.MethodPost, users, person("first@example.com")).Want(http.StatusCreated).ID(), 0
		for i := range 40 {
			body := fmt.Sprintf(`{"name":"Ada","email":"%d@example.com"}`, i)
			request, want := "GET "+users+"/"+id+" HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusOK
			switch i % 4 {
			case 0:
				request, want = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", users, len(body), body), http.StatusCreated
			case 1:
				request, want = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", users, len(body)+1, body), http.StatusBadRequest // incomplete
			}
			conn, err := net.Dial("tcp", s.Address)
			require.NoError(t, err)
			_, err = io.WriteString(conn, request)
			require.NoError(t, err)
			tcp, _ := conn.(*net.TCPConn)
			require.NoError(t, tcp.CloseWrite())
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				answered++
				require.Equal(t, want, response.StatusCode)
				var content map[string]any
				require.NoError(t, json.NewDecoder(response.Body).Decode(&content))
				require.Contains(t, content, map[bool]string{true: "title", false: "email"}[want == http.StatusBadRequest])
				require.NoError(t, response.Body.Close())
			}
			require.NoError(t, conn.Close())
		}
		require.Positive(t, answered)
	})
}

// TestAnAmbiguousLengthClosesTheConnection: with Content-Length and Transfer-Encoding, a proxy
// may take another part of the connection for the request (RFC 9112, section 6.1).
func TestAnAmbiguousLengthClosesTheConnection(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	const follows = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, row := range map[string]struct {
		text    string
		answers int
	}{
		"both":     {"POST " + users + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\ncontent-LENGTH: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 1},
		"HTTP/1.0": {"POST " + users + " HTTP/1.0\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", 1}, // answered at once: no body is read
		"chunked":  {"POST " + users + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 2},
		"length":   {"POST " + users + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 2},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", s.Address)
			require.NoError(t, err)
			defer conn.Close()
			for i := range len(row.text) { // byte by byte, so that names are split between reads
				_, err = io.WriteString(conn, row.text[i:i+1])
				require.NoError(t, err)
			}
			from, answers := bufio.NewReader(conn), 0
			for range 2 {
				response, err := http.ReadResponse(from, nil)
				if err != nil {
					break
				}
				answers++
				_, err = io.Copy(io.Discard, response.Body)
				require.NoError(t, err)
				_, _ = io.WriteString(conn, follows) // fails if it is closed
			}
			require.Equal(t, row.answers, answers)
		})
	}
}

// TestTheAnswerIsJSONWhateverAcceptSays: responses are JSON, whatever Accept says.
func TestTheAnswerIsJSONWhateverAcceptSays(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	for _, accept := range []string{"json", "text/html", "application/problem+json", "*/*;q=0"} {
		require.Equal(t, "application/json", s.Do(http.MethodGet, users, nil, "Accept", accept).Want(http.StatusOK).Header.Get("Content-Type"))
	}
}

func TestRequestIDs(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	require.Equal(t, "trace-1.a_B", s.Do(http.MethodGet, users, nil, "X-Request-ID", "trace-1.a_B").Header.Get("X-Request-ID"))
	for _, unfit := range []string{"", "a b", `"`, strings.Repeat("x", 65), "é"} {
		made := s.Do(http.MethodGet, users, nil, "X-Request-ID", unfit).Header.Get("X-Request-ID")
		require.NotEqual(t, unfit, made)
		require.Len(t, made, 36)
	}
}

func TestTheDocumentation(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	get := func(path string) (string, http.Header) {
		response, err := http.Get("http://" + s.Address + path)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, http.StatusOK, response.StatusCode, path)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(body), response.Header
	}
	page, header := get("/docs")
	require.Contains(t, page, "<title>user-service</title>")
	require.NotContains(t, page, "//", "the page loads something from another host")
	require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
	for path, contains := range map[string]string{
		"/docs/start.js": "SwaggerUIBundle", "/docs/swagger-ui-bundle.js": "SwaggerUI", "/docs/swagger-ui.css": ".swagger-ui", "/docs/style.css": "@media",
		"/openapi.json": `"openapi":"3.1.0"`, "/docs/openapi.json": `"openapi":"3.1.0"`, "/openapi.yaml": "openapi: 3.1.0",
	} {
		body, _ := get(path)
		require.Contains(t, body, contains, path)
	}
}

// TestConditionsWithoutAnETagFail: nothing here has an ETag that could match.
func TestConditionsWithoutAnETagFail(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		deleted := s.Do(http.MethodPost, users, person("ada@example.com")).Want(http.StatusCreated)
		s.Do(http.MethodDelete, deleted.Header.Get("Location"), nil).Want(http.StatusNoContent)
		s.RejectsConditions(http.MethodGet, nil, users, users+"/existing?ids="+unknown, users+"/events", users+"/"+deleted.ID()+"/erasure")
		s.Do(http.MethodGet, users+"/"+unknown+"/erasure", nil, "If-Match", `"1"`).Want(http.StatusNotFound) // RFC 9110, section 13.2.1
		s.RejectsConditions(http.MethodPost, map[string]any{"name": "Ada", "email": "a@example.com"}, users)
		s.RejectsConditions(http.MethodPut, map[string]any{"cursor": "0-0"}, consumer)
	})
}

func TestTheDocumentIsCurrent(t *testing.T) {
	apitest.TestDocument(t, "openapi.yaml", func(issuers string) string {
		return start(t, databases["sqlite"](t), func(c *configuration) { c.AuthIssuers = issuers }).Address
	})
}

func TestMetrics(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		created := s.Do(http.MethodPost, users, person("ada@example.com")).Want(http.StatusCreated)
		s.Do(http.MethodGet, users+"/"+created.ID(), nil)
		s.Do(http.MethodGet, "/made/up/ada@example.com", nil)
		response, err := http.Get("http://" + s.Address + "/metrics")
		require.NoError(t, err)
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		metrics := string(b)
		for _, want := range []string{
			`http_server_request_duration_seconds_count{method="POST",route="/api/v1/users",status="201"} 1`,
			`http_server_request_duration_seconds_count{method="GET",route="/api/v1/users/:user_id",status="200"} 1`,
			`http_server_request_duration_seconds_count{method="GET",route="unmatched",status="404"} 1`,
			`http_server_requests_in_flight 1`, `db_pool_connections_max`, `build_info{`, `go_goroutines`,
		} {
			require.Contains(t, metrics, want)
		}
		for _, never := range []string{created.ID(), "ada@", "made/up"} {
			require.NotContains(t, metrics, never)
		}
	})
}

// operations returns a valid request for each operation that uses the database.
func operations(id string) []func(*apitest.Client) *apitest.Answer {
	path := users + "/" + id
	return []func(*apitest.Client) *apitest.Answer{
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodGet, users, nil) },
		func(c *apitest.Client) *apitest.Answer {
			return c.Do(http.MethodGet, users+"/existing?ids="+unknown, nil)
		},
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodGet, path, nil) },
		func(c *apitest.Client) *apitest.Answer {
			return c.Do(http.MethodPost, users, person("grace@example.com"))
		},
		func(c *apitest.Client) *apitest.Answer {
			return c.Do(http.MethodPost, users, person("edsger@example.com"), "Idempotency-Key", "e")
		},
		func(c *apitest.Client) *apitest.Answer {
			return c.Do(http.MethodPut, path, map[string]any{"name": "X"})
		},
		func(c *apitest.Client) *apitest.Answer {
			return c.Do(http.MethodPatch, path, map[string]any{"name": "Y"})
		},
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodDelete, path, nil) },
	}
}

// consumer is the path of a consumer of the event feed.
const consumer = users + "/events/consumers/order-service"

// eventOperations are the operations for consumers of the event feed.
func eventOperations() []func(*apitest.Client) *apitest.Answer {
	return []func(*apitest.Client) *apitest.Answer{
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodGet, users+"/events", nil) },
		func(c *apitest.Client) *apitest.Answer {
			return c.Do(http.MethodPut, consumer, map[string]any{"cursor": "0-0"})
		},
		func(c *apitest.Client) *apitest.Answer {
			return c.Do(http.MethodGet, users+"/"+unknown+"/erasure", nil)
		},
	}
}

func TestAnUnavailableDatabase(t *testing.T) {
	server, err := postgres.Start(t.Context(), postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	s := start(t, server.URL("postgres"))
	id := s.Do(http.MethodPost, users, person("ada@example.com")).ID()
	ready := func(status int) func() bool {
		return func() bool { return s.Do(http.MethodGet, "/health/ready", nil).Status == status }
	}
	apitest.Eventually(t, "ready", ready(http.StatusOK))

	require.NoError(t, server.Kill())
	for _, request := range append(operations(id), eventOperations()...) {
		request(s.Client).Want(http.StatusServiceUnavailable)
	}
	apitest.Eventually(t, "not ready", ready(http.StatusServiceUnavailable))
	s.Do(http.MethodGet, "/health/live", nil).Want(http.StatusOK)

	require.NoError(t, server.Restart(t.Context()))
	apitest.Eventually(t, "ready again", ready(http.StatusOK))
	require.Equal(t, id, s.Do(http.MethodGet, users+"/"+id, nil).Want(http.StatusOK).ID())
}

// TestAMissingTableIsAnInternalError drops the table: an unexpected error gives a 500 without details.
func TestAMissingTableIsAnInternalError(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		id := s.Do(http.MethodPost, users, person("ada@example.com")).ID()
		s.execute(t, "DROP TABLE user_service.users")
		for _, request := range operations(id) {
			request(s.Client).Want(http.StatusInternalServerError)
		}
		s.execute(t, "DROP TABLE user_service.events")
		for _, request := range eventOperations() {
			request(s.Client).Want(http.StatusInternalServerError)
		}
	})
}

// execute runs a statement in the database, bypassing the service.
func (s *server) execute(t *testing.T, query string) {
	t.Helper()
	if path, is := strings.CutPrefix(s.config.DatabaseURL, "sqlite://"); is {
		db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)") // the service also writes
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), strings.ReplaceAll(query, "user_service.", ""))
		require.NoError(t, err)
		require.NoError(t, db.Close())
		return
	}
	conn, err := pgx.Connect(t.Context(), s.config.DatabaseURL)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), query)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

// TestAnUnusedBodyDelaysNoAnswer: the response comes at once, and the request's
// concurrency slot is free.
func TestAnUnusedBodyDelaysNoAnswer(t *testing.T) {
	s := start(t, databases["sqlite"](t), func(c *configuration) {
		c.BodyTimeout = time.Hour
		c.ConcurrencyLimit = overload.Limits{Min: 1, Max: 1}
	})
	var query strings.Builder
	for i := range 25 {
		fmt.Fprintf(&query, "&a-parameter-that-is-long-and-not-known-%d=1", i)
	}
	for _, target := range []string{"GET /api/v1/users?" + query.String()[1:], "POST /api/v1/users?" + query.String()[1:], "GET /api/v1/users", "GET /health", "GET /nowhere"} {
		conn, err := net.Dial("tcp", s.Address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		_, err = io.WriteString(conn, target+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n")
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, target)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err, target)
		require.NoError(t, response.Body.Close())
		require.True(t, response.Close, "%s: the answer must have Connection: close", target)
		s.Do(http.MethodGet, "/api/v1/users", nil).Want(http.StatusOK)
	}
	// If the body was read, the connection is reused.
	response, err := http.Post("http://"+s.Address+"/api/v1/users", "application/json", strings.NewReader(`{"name":"Ada","email":"ada@example.com"}`))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusCreated, response.StatusCode)
	require.False(t, response.Close)
}
