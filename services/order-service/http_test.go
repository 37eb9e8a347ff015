package main

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/service"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/idempotency"
)

func TestProbes(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	want := `{"status":"ok","service":"order-service","version":"` + service.Version() + `","auth":"open"}`
	require.JSONEq(t, want, string(s.Do(http.MethodGet, "/health", nil).Want(http.StatusOK).Body))
	require.JSONEq(t, want, string(s.Do(http.MethodGet, "/health/live", nil).Want(http.StatusOK).Body))
}

func TestErrorsOfTheRouter(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	for _, path := range []string{"/", "/api/v1/orders/", "/api/v1/orders/user/", "/api/v1/orders/user/x/y"} {
		s.Do(http.MethodGet, path, nil).Want(http.StatusNotFound)
	}
	answer := s.Do(http.MethodDelete, orders+"/user/"+unknown, nil).Want(http.StatusMethodNotAllowed)
	require.Equal(t, "GET, HEAD", answer.Header.Get("Allow"))
	answer = s.Do(http.MethodPut, orders+"/events", nil).Want(http.StatusMethodNotAllowed)
	require.Equal(t, "GET, HEAD", answer.Header.Get("Allow"))
}

func TestInvalidBodies(t *testing.T) {
	s, patient := start(t, databases["sqlite"](t), func(c *configuration) { c.BodyTimeout = 50 * time.Millisecond }), start(t, databases["sqlite"](t))
	path := orders + "/" + unknown
	for method, path := range map[string]string{http.MethodPost: orders, http.MethodPut: path, http.MethodPatch: path} {
		s.Do(method, path, `{}`, "Content-Type", "text/plain").Want(http.StatusUnsupportedMediaType)
		s.Do(method, path, strings.Repeat(" ", 512<<10+1)).Want(http.StatusRequestEntityTooLarge)
		patient.DoReader(method, path, io.MultiReader(strings.NewReader(strings.Repeat(" ", 1<<20)))).Want(http.StatusRequestEntityTooLarge) // of unknown length
		s.Do(method, path, ``).Want(http.StatusBadRequest)
		never, writer := io.Pipe()
		s.DoReader(method, path, never).Want(http.StatusRequestTimeout)
		require.NoError(t, writer.Close())
	}
}

// TestAnOrderAtAllLimitsIsAccepted: an order at all limits is accepted, however it is escaped,
// and can be sent back as it was read.
func TestAnOrderAtAllLimitsIsAccepted(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for name, character := range map[string]string{
			"CJK": "語", "an emoji": "😀", "an emoji in ASCII": `\ud83d\ude00`, "quotes": `\"`, "CJK in ASCII": `\u8a9e`,
		} {
			item := fmt.Sprintf(`{"product_id":"%s","product_name":"%s","quantity":1000000,"price":99.99}`, strings.Repeat(character, 100), strings.Repeat(character, 200))
			body := fmt.Sprintf(`{"user_id":"%s","shipping_address":"%s","items":[%s]}`, s.user, strings.Repeat(character, 500), strings.TrimSuffix(strings.Repeat(item+",", 100), ","))
			created := s.Do(http.MethodPost, orders, body)
			require.Equal(t, http.StatusCreated, created.Status, "%s: %s", name, created.Body)
			path := orders + "/" + created.ID()
			read := s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
			again := s.Do(http.MethodPut, path, string(read.Body), "If-Match", read.Header.Get("ETag")).Want(http.StatusOK)
			require.Equal(t, string(read.Body), string(again.Body), name)
			s.Do(http.MethodPost, orders, body).Want(http.StatusCreated)
		}
		// A page of such orders ends early, and the next page continues.
		page := s.Do(http.MethodGet, orders+"?limit=100", nil).Want(http.StatusOK)
		require.Less(t, len(page.Body), 700<<10)
		require.NotNil(t, page.Object()["next_cursor"])
		count := len(page.Object()["items"].([]any))
		for next := page.Object()["next_cursor"]; next != nil; next = page.Object()["next_cursor"] {
			page = s.Do(http.MethodGet, orders+"?limit=100&cursor="+next.(string), nil).Want(http.StatusOK)
			count += len(page.Object()["items"].([]any))
		}
		require.Equal(t, 10, count)
	})
}

// TestAnInstantSurvivesJavaScriptsDate: times always have three decimals, so that JavaScript's Date
// writes what it read.
func TestAnInstantSurvivesJavaScriptsDate(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		id := s.create().ID()
		read := s.Do(http.MethodGet, orders+"/"+id, nil).Object()
		for _, field := range []string{"created_at", "updated_at"} {
			require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`, read[field])
			at, err := time.Parse(time.RFC3339, read[field].(string))
			require.NoError(t, err)
			read[field] = at.Format("2006-01-02T15:04:05.000Z07:00") // like toISOString
		}
		s.Do(http.MethodPut, orders+"/"+id, read).Want(http.StatusOK)
		read["created_at"] = "2001-01-01T00:00:00.000Z"
		s.Do(http.MethodPut, orders+"/"+id, read).Want(http.StatusUnprocessableEntity)
	})
}

// TestConditionsApplyToEveryMethod tests conditional requests (RFC 9110, section 13).
func TestConditionsApplyToEveryMethod(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		path := orders + "/" + s.create().ID()
		etag := s.Do(http.MethodGet, path, nil).Header.Get("ETag")
		for _, row := range []struct {
			header, value string
			read, change  int
		}{
			{"If-Match", etag, 200, 0},
			{"If-Match", "*", 200, 0},
			{"If-Match", `"9", ` + etag, 200, 0},
			{"If-Match", `"9"`, 412, 412},
			{"If-Match", "W/" + etag, 412, 412},
			{"If-None-Match", etag, 304, 412},
			{"If-None-Match", "W/" + etag, 304, 412},
			{"If-None-Match", "*", 304, 412},
			{"If-None-Match", `"9"`, 200, 0},
			{"If-None-Match", `9`, 422, 422},
			{"If-Match", ``, 422, 422},
		} {
			for method, want := range map[string]int{http.MethodGet: row.read, http.MethodPut: row.change, http.MethodPatch: row.change, http.MethodDelete: row.change} {
				if want == 0 {
					continue // it would change the order; other tests do
				}
				var body any
				if method == http.MethodPut || method == http.MethodPatch {
					body = map[string]any{"shipping_address": "elsewhere"}
				}
				answer := s.Do(method, path, body, row.header, row.value)
				require.Equal(t, want, answer.Status, "%s %s: %s", method, row.header, row.value)
				if want == 412 && strings.HasPrefix(row.value, "W/") && row.header == "If-Match" {
					require.Contains(t, answer.Detail(), "weak")
				}
				require.Equal(t, etag, s.Do(http.MethodGet, path, nil).Header.Get("ETag"), "the order has changed")
			}
		}
		s.Do(http.MethodDelete, path, nil, "If-None-Match", `"9"`, "If-Match", etag).Want(http.StatusNoContent)
	})
}

// TestConditionsWithoutAnETagFail: nothing here has an ETag that could match.
func TestConditionsWithoutAnETagFail(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		id := s.create().ID()
		s.RejectsConditions(http.MethodGet, nil, orders, orders+"/events", orders+"/user/"+unknown, orders+"/"+id+"/events")
		s.RejectsConditions(http.MethodPost, s.order(nil), orders)
	})
}

func TestTheDocumentIsCurrent(t *testing.T) {
	apitest.TestDocument(t, "openapi.yaml", func(issuers string) string {
		return start(t, databases["sqlite"](t), func(c *configuration) { c.AuthIssuers = issuers }).Address
	})
}

func TestTheSameKeyGetsTheSameAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		body := s.raw(`{"quantity":1,"price":0.3}`)
		first := s.Do(http.MethodPost, orders, body, "Idempotency-Key", "k").Want(http.StatusCreated)
		again := s.Do(http.MethodPost, orders, body, "Idempotency-Key", "k").Want(http.StatusCreated)
		require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
		require.Equal(t, string(first.Body), string(again.Body))
		require.Equal(t, first.Header.Get("Location"), again.Header.Get("Location"))
		s.Do(http.MethodPost, orders, body+"\n", "Idempotency-Key", "k").Want(http.StatusUnprocessableEntity)
		replays := apitest.Race(20, func(int) int {
			return s.Do(http.MethodPost, orders, body, "Idempotency-Key", "k").Status
		})
		require.Equal(t, map[int]int{http.StatusCreated: 20}, replays, "concurrent replays must not be rejected")

		statuses := apitest.Race(20, func(int) int {
			return s.Do(http.MethodPost, orders, body, "Idempotency-Key", "l").Status
		})
		require.Equal(t, 20, statuses[http.StatusCreated]+statuses[http.StatusConflict], "%v", statuses)
		require.Len(t, s.Do(http.MethodGet, orders, nil).Object()["items"], 2)
	})
}

// TestADeletionErasesTheAnswer: of a deleted order only the used idempotency key remains, so
// that a repeated request doesn't create the order again.
func TestADeletionErasesTheAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		store, err := openStore(t.Context(), s.config)
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()
		send := func() *apitest.Answer { return s.Do(http.MethodPost, orders, s.order(), "Idempotency-Key", "k") }
		first := send().Want(http.StatusCreated)
		s.Do(http.MethodDelete, orders+"/"+first.ID(), nil).Want(http.StatusNoContent)
		record, err := store.Recorded(t.Context(), idempotency.Key{Value: "k"}, time.Now())
		require.NoError(t, err)
		require.Equal(t, http.StatusGone, record.Answer.Status)
		require.Empty(t, string(record.Answer.Body)+record.Answer.Location+record.Answer.ETag)
		require.Empty(t, record.Fingerprint)
		require.Contains(t, send().Want(http.StatusGone).Detail(), "was deleted")
		require.Empty(t, s.Do(http.MethodGet, orders, nil).Object()["items"])
	})
}

// TestAReplayNeedsTheCurrentRights repeats a request with a token that has lost a scope.
func TestAReplayNeedsTheCurrentRights(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, g *guarded) {
		ada, subject := uuid.NewString(), uuid.NewString()
		g.register(t, ada)
		send := func(scopes string) *apitest.Answer {
			return g.Do(http.MethodPost, orders, g.order(map[string]any{"user_id": ada}),
				"Authorization", g.is.Token(t, subject, scopes), "Idempotency-Key", "k")
		}
		made := send("admin").Want(http.StatusCreated).ID()
		send("orders:write orders:read").Want(http.StatusNotFound)
		require.Equal(t, made, send("orders:write orders:fulfil").Want(http.StatusCreated).ID(), "a caller that fulfils reads all orders")
		g.Do(http.MethodDelete, orders+"/"+made, nil, "Authorization", g.is.Token(t, ada, "orders:write")).Want(http.StatusNoContent)
		send("admin").Want(http.StatusGone)
	})
}

// TestARequestInFlightIsAConflict blocks the first request at user-service, so that the
// second one arrives while the first is in flight.
func TestARequestInFlightIsAConflict(t *testing.T) {
	users := newGate(t)
	s := start(t, databases["sqlite"](t), func(c *configuration) {
		c.UserClient.URL = users.URL
		c.UserClient.Timeout, c.UserClient.TryTimeout = time.Minute, time.Minute
	})
	first := make(chan *apitest.Answer)
	go func() { first <- s.Do(http.MethodPost, orders, s.order(), "Idempotency-Key", "k") }()
	<-users.arrived
	s.Do(http.MethodPost, orders, s.order(), "Idempotency-Key", "k").Want(http.StatusConflict)
	close(users.open)
	(<-first).Want(http.StatusCreated)
	s.Do(http.MethodPost, orders, s.order(), "Idempotency-Key", "k").Want(http.StatusCreated)
}

// operations returns a valid request for each operation that uses the database.
func (s *server) operations(id string) []func(*apitest.Client) *apitest.Answer {
	path := orders + "/" + id
	return []func(*apitest.Client) *apitest.Answer{
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodGet, orders, nil) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodGet, orders+"/user/"+s.user, nil) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodGet, path, nil) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodGet, path+"/events", nil) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodPost, orders, s.order()) },
		func(c *apitest.Client) *apitest.Answer {
			return c.Do(http.MethodPost, orders, s.order(), "Idempotency-Key", "e")
		},
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodPut, path, `{"status":"confirmed"}`) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodPatch, path, `{"status":"confirmed"}`) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodDelete, path, nil) },
	}
}

func readEvents(c *apitest.Client) *apitest.Answer {
	return c.Do(http.MethodGet, orders+"/events", nil)
}

func TestAnUnavailableDatabase(t *testing.T) {
	server, err := postgres.Start(t.Context(), postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	s := start(t, server.URL("postgres"))
	id := s.create().ID()
	ready := func(status int) func() bool {
		return func() bool { return s.Do(http.MethodGet, "/health/ready", nil).Status == status }
	}
	apitest.Eventually(t, "ready", ready(http.StatusOK))
	require.NoError(t, server.Kill())
	for _, request := range append(s.operations(id), readEvents) {
		request(s.Client).Want(http.StatusServiceUnavailable)
	}
	apitest.Eventually(t, "not ready", ready(http.StatusServiceUnavailable))
	require.NoError(t, server.Restart(t.Context()))
	apitest.Eventually(t, "ready again", ready(http.StatusOK))
	require.Equal(t, id, s.Do(http.MethodGet, orders+"/"+id, nil).Want(http.StatusOK).ID())
}

// TestAMissingTableIsAnInternalError drops the table: an unexpected error gives a 500 without details.
func TestAMissingTableIsAnInternalError(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		id := s.create().ID()
		s.execute(t, "DROP TABLE order_service.orders")
		for _, request := range s.operations(id) {
			request(s.Client).Want(http.StatusInternalServerError)
		}
		s.execute(t, "DROP TABLE order_service.events")
		readEvents(s.Client).Want(http.StatusInternalServerError)
	})
}

// execute runs a statement in the database, bypassing the service.
func (s *server) execute(t *testing.T, query string) {
	t.Helper()
	if path, is := strings.CutPrefix(s.config.DatabaseURL, "sqlite://"); is {
		db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)") // the service also writes
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), strings.ReplaceAll(query, "order_service.", ""))
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
