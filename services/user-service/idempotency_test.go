package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/pkg/idempotency"
)

func TestTheSameKeyGetsTheSameAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		const body = `{"name":"Ada","email":"ada@example.com"}`
		first := s.Do(http.MethodPost, users, body, "Idempotency-Key", "k").Want(http.StatusCreated)
		require.Empty(t, first.Header.Get("Idempotent-Replayed"))
		// The recorded response doesn't change with the user.
		s.Do(http.MethodPatch, users+"/"+first.ID(), `{"name":"Grace"}`).Want(http.StatusOK)
		for range 2 {
			again := s.Do(http.MethodPost, users, body, "Idempotency-Key", "k").Want(http.StatusCreated)
			require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
			require.Equal(t, first.Body, again.Body)
			for _, header := range []string{"Location", "ETag", "Content-Type"} {
				require.Equal(t, first.Header.Get(header), again.Header.Get(header))
			}
		}
		other := s.Do(http.MethodPost, users, body+" ", "Idempotency-Key", "k").Want(http.StatusUnprocessableEntity)
		require.Equal(t, []string{"header.Idempotency-Key"}, other.Locations())
		s.Do(http.MethodPatch, users+"/"+first.ID(), `{"email":"grace@example.com"}`).Want(http.StatusOK)
		s.Do(http.MethodPost, users, body, "Idempotency-Key", "K").Want(http.StatusCreated)
	})
}

// TestADeletionErasesTheAnswer: of a deleted user only the used idempotency key remains, so
// that a repeated request doesn't create the user again.
func TestADeletionErasesTheAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		store, err := openStore(t.Context(), s.config)
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()
		first := s.Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "k").Want(http.StatusCreated)
		s.Do(http.MethodDelete, users+"/"+first.ID(), nil).Want(http.StatusNoContent)
		record, err := store.Recorded(t.Context(), idempotency.Key{Value: "k"}, time.Now())
		require.NoError(t, err)
		require.Equal(t, http.StatusGone, record.Answer.Status)
		require.Empty(t, string(record.Answer.Body)+record.Answer.Location+record.Answer.ETag)
		require.Empty(t, record.Fingerprint)
		for _, email := range []string{"ada@example.com", "bob@example.com"} {
			gone := s.Do(http.MethodPost, users, person(email), "Idempotency-Key", "k").Want(http.StatusGone)
			require.Contains(t, gone.Detail(), "was deleted")
		}
		require.Empty(t, s.Do(http.MethodGet, users, nil).Object()["items"])
		s.Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "l").Want(http.StatusCreated)
	})
}

// TestAReplayNeedsTheCurrentRights repeats a request with a token that has lost a scope.
func TestAReplayNeedsTheCurrentRights(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		body, subject := newUser(), uuid.NewString()
		send := func(scope string) *apitest.Answer {
			return s.Do(http.MethodPost, users, body, "Authorization", is.Token(t, subject, scope), "Idempotency-Key", "k")
		}
		made := send("admin").Want(http.StatusCreated).ID()
		send("users:write users:read").Want(http.StatusNotFound)
		require.Equal(t, made, send("admin").Want(http.StatusCreated).ID())
		s.Do(http.MethodDelete, users+"/"+made, nil, "Authorization", is.Token(t, subject, "admin")).Want(http.StatusNoContent)
		send("admin").Want(http.StatusGone)
	})
}

func TestARejectionIsNotRecorded(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		taken := s.Do(http.MethodPost, users, person("ada@example.com")).Want(http.StatusCreated)
		s.Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "k").Want(http.StatusConflict)
		s.Do(http.MethodPost, users, `{}`, "Idempotency-Key", "k").Want(http.StatusUnprocessableEntity)
		s.Do(http.MethodDelete, users+"/"+taken.ID(), nil).Want(http.StatusNoContent)
		s.Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "k").Want(http.StatusCreated)
	})
}

func TestASecondKeyHeaderIsRejected(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Address+users, strings.NewReader(`{}`))
	require.NoError(t, err)
	request.Header = http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"a", "b"}}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusUnprocessableEntity, response.StatusCode)
}

func TestAKeyIsPrintable(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for _, bad := range []string{"", strings.Repeat("k", 256), "é", "a\tb"} {
			answer := s.Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", bad).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{"header.Idempotency-Key"}, answer.Locations())
		}
		s.Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", strings.Repeat("k", 255)).Want(http.StatusCreated)
	})
}

// TestConcurrentRequestsWithOneKey: of concurrent requests with one key, one is executed; the others are
// rejected with 409, or get its response. That also holds for two servers on one database.
func TestConcurrentRequestsWithOneKey(t *testing.T) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			a := address(t)
			servers := []*server{start(t, a), start(t, a)}
			statuses := apitest.Race(20, func(i int) int {
				return servers[i%2].Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "k").Status
			})
			require.Equal(t, 20, statuses[http.StatusCreated]+statuses[http.StatusConflict], "%v", statuses)
			require.NotZero(t, statuses[http.StatusCreated])
			var all userList
			servers[0].Do(http.MethodGet, users, nil).Decode(&all)
			require.Len(t, all.Items, 1)
		})
	}
}

func TestAKeyIsPurgedAfterItsLifetime(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		store, err := openStore(t.Context(), s.config)
		require.NoError(t, err)
		defer func() { require.NoError(t, store.Close()) }()

		first := s.Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "k").Want(http.StatusCreated)
		key := idempotency.Key{Value: "k"}
		now := time.Now()
		record, err := store.Recorded(t.Context(), key, now)
		require.NoError(t, err)
		require.Equal(t, 24*time.Hour, record.ExpiresAt.Sub(record.CreatedAt))
		require.Equal(t, first.Body, record.Answer.Body)

		_, err = store.Recorded(t.Context(), key, record.ExpiresAt)
		require.ErrorIs(t, err, idempotency.ErrNotFound, "the key has expired")
		for _, purge := range []struct {
			at   time.Time
			want int
		}{{now, 0}, {record.ExpiresAt, 1}, {record.ExpiresAt, 0}} {
			n, err := store.Purge(t.Context(), purge.at, 10)
			require.NoError(t, err)
			require.Equal(t, purge.want, n)
		}
	})
}
