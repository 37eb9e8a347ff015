package main

import (
	"database/sql"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/service"
)

func TestProbes(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	want := `{"status":"ok","service":"widget-service","version":"` + service.Version() + `","auth":"open"}`
	require.JSONEq(t, want, string(s.Do(http.MethodGet, "/health", nil).Want(http.StatusOK).Body))
	require.JSONEq(t, want, string(s.Do(http.MethodGet, "/health/live", nil).Want(http.StatusOK).Body))
}

func TestTheDocumentIsCurrent(t *testing.T) {
	apitest.TestDocument(t, "openapi.yaml", func(issuers string) string {
		return start(t, databases["sqlite"](t), func(c *configuration) { c.AuthIssuers = issuers }).Address
	})
}

// TestConditionsWithoutAnETagFail: lists and creations have none that could match.
func TestConditionsWithoutAnETagFail(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.RejectsConditions(http.MethodGet, nil, widgets)
		s.RejectsConditions(http.MethodPost, newWidget(), widgets)
	})
}

// TestEachOperationIsLimited: every operation except the probes counts towards a caller's
// rate limit.
func TestEachOperationIsLimited(t *testing.T) {
	once := ratelimit.Limit{Requests: 1, Period: time.Hour, Burst: 1}
	start(t, databases["sqlite"](t), func(c *configuration) { c.ReadLimit, c.WriteLimit = once, once }).TestLimits(t)
}

func TestInvalidBodies(t *testing.T) {
	s := start(t, databases["sqlite"](t), func(c *configuration) { c.BodyTimeout = 50 * time.Millisecond })
	path := widgets + "/" + unknown
	for method, path := range map[string]string{http.MethodPost: widgets, http.MethodPut: path, http.MethodPatch: path} {
		s.Do(method, path, `{}`, "Content-Type", "text/plain").Want(http.StatusUnsupportedMediaType)
		s.Do(method, path, strings.Repeat(" ", 64<<10+1)).Want(http.StatusRequestEntityTooLarge)
		s.Do(method, path, ``).Want(http.StatusBadRequest)
		never, writer := io.Pipe()
		s.DoReader(method, path, never).Want(http.StatusRequestTimeout)
		require.NoError(t, writer.Close())
	}
}

func TestTheSameKeyGetsTheSameAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		const body = `{"owner_id":"` + someone + `","name":"A name","quantity":3}`
		first := s.Do(http.MethodPost, widgets, body, "Idempotency-Key", "k").Want(http.StatusCreated)
		again := s.Do(http.MethodPost, widgets, body, "Idempotency-Key", "k").Want(http.StatusCreated)
		require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
		require.Equal(t, string(first.Body), string(again.Body))
		s.Do(http.MethodPost, widgets, body+"\n", "Idempotency-Key", "k").Want(http.StatusUnprocessableEntity)
		statuses := apitest.Race(20, func(int) int {
			return s.Do(http.MethodPost, widgets, body, "Idempotency-Key", "l").Status
		})
		require.Equal(t, 20, statuses[http.StatusCreated]+statuses[http.StatusConflict], "%v", statuses)
		require.Len(t, s.Do(http.MethodGet, widgets, nil).Object()["items"], 2)
	})
}

// TestARequestInFlightIsAConflict locks the database, so that the first request is still in
// flight when the second one gets its response.
func TestARequestInFlightIsAConflict(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	path := strings.TrimPrefix(s.config.DatabaseURL, "sqlite://")
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)") // the service also writes
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	holder, err := db.Conn(t.Context())
	require.NoError(t, err)
	_, err = holder.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	answers := make(chan *apitest.Answer)
	for range 2 {
		go func() { answers <- s.Do(http.MethodPost, widgets, newWidget(), "Idempotency-Key", "k") }()
	}
	(<-answers).Want(http.StatusConflict)
	_, err = holder.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, holder.Close())
	(<-answers).Want(http.StatusCreated)
}

// TestADeletionErasesTheAnswer: of a deleted widget only the used idempotency key remains,
// so that a repeated request doesn't create the widget again.
func TestADeletionErasesTheAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		store, err := openStore(t.Context(), s.config)
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()
		send := func() *apitest.Answer { return s.Do(http.MethodPost, widgets, newWidget(), "Idempotency-Key", "k") }
		first := send().Want(http.StatusCreated)
		s.Do(http.MethodDelete, widgets+"/"+first.ID(), nil).Want(http.StatusNoContent)
		record, err := store.Recorded(t.Context(), idempotency.Key{Value: "k"}, time.Now())
		require.NoError(t, err)
		require.Empty(t, string(record.Answer.Body)+record.Answer.Location+record.Answer.ETag)
		require.Contains(t, send().Want(http.StatusGone).Detail(), "was deleted")
		require.Empty(t, s.Do(http.MethodGet, widgets, nil).Object()["items"])
	})
}

// operations returns a valid request for each operation that uses the database.
func operations(id string) []func(*apitest.Client) *apitest.Answer {
	path := widgets + "/" + id
	return []func(*apitest.Client) *apitest.Answer{
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodGet, widgets, nil) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodGet, path, nil) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodPost, widgets, newWidget()) },
		func(c *apitest.Client) *apitest.Answer {
			return c.Do(http.MethodPost, widgets, newWidget(), "Idempotency-Key", "e")
		},
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodPut, path, `{"quantity":4}`) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodPatch, path, `{"quantity":4}`) },
		func(c *apitest.Client) *apitest.Answer { return c.Do(http.MethodDelete, path, nil) },
	}
}

func TestAnUnavailableDatabase(t *testing.T) {
	server, err := postgres.Start(t.Context(), postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	s := start(t, server.URL("postgres"))
	id := s.create()
	ready := func(status int) func() bool {
		return func() bool { return s.Do(http.MethodGet, "/health/ready", nil).Status == status }
	}
	apitest.Eventually(t, "ready", ready(http.StatusOK))
	require.NoError(t, server.Kill())
	for _, request := range operations(id) {
		request(s.Client).Want(http.StatusServiceUnavailable)
	}
	apitest.Eventually(t, "not ready", ready(http.StatusServiceUnavailable))
	require.NoError(t, server.Restart(t.Context()))
	apitest.Eventually(t, "ready again", ready(http.StatusOK))
	require.Equal(t, id, s.Do(http.MethodGet, widgets+"/"+id, nil).Want(http.StatusOK).ID())
}

// TestAMissingTableIsAnInternalError drops the table: an unexpected error gives a 500 without details.
func TestAMissingTableIsAnInternalError(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		id := s.create()
		s.execute(t, "DROP TABLE widget_service.widgets")
		for _, request := range operations(id) {
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
		_, err = db.ExecContext(t.Context(), strings.ReplaceAll(query, "widget_service.", ""))
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
