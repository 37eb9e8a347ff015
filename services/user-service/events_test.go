package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/pkg/events"
)

type cloudEvent = events.CloudEvent[map[string]any]

func read(t *testing.T, a *apitest.Answer) (batch []cloudEvent) {
	t.Helper()
	a.Want(http.StatusOK).Decode(&batch)
	require.Equal(t, "application/cloudevents-batch+json", a.Header.Get("Content-Type"))
	return batch
}

func TestEvents(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		require.Empty(t, read(t, s.Do(http.MethodGet, users+"/events", nil)))
		id := s.Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "k").Want(http.StatusCreated).ID()
		s.Do(http.MethodPatch, users+"/"+id, map[string]any{"name": "Grace", "age": 3}).Want(http.StatusOK)
		s.Do(http.MethodPatch, users+"/"+id, map[string]any{"name": "Grace"}).Want(http.StatusOK)
		s.Do(http.MethodDelete, users+"/"+id, nil).Want(http.StatusNoContent)

		all := read(t, s.Do(http.MethodGet, users+"/events?limit=1&wait=20s", nil))
		require.Len(t, all, 1)
		for len(all) < 3 { // PostgreSQL withholds events newer than the oldest running transaction
			all = append(all, read(t, s.Do(http.MethodGet, users+"/events?wait=20s&cursor="+all[len(all)-1].Cursor, nil))...)
		}
		for i, want := range []struct {
			kind string
			data map[string]any
		}{
			{"created", map[string]any{"version": 1.0}},
			{"updated", map[string]any{"version": 2.0, "changed": []any{"name", "age"}}},
			{"deleted", map[string]any{"version": 3.0}},
		} {
			e := all[i]
			require.Equal(t, "1.0", e.SpecVersion)
			require.Equal(t, "com.example.user."+want.kind, e.Type)
			require.Equal(t, id, e.Subject.String())
			require.Equal(t, users, e.Source)
			require.Equal(t, want.data, e.Data)
			require.WithinDuration(t, time.Now(), time.Time(e.Time), time.Minute)
		}
		for query, location := range map[string]string{
			"cursor=x": "query.cursor", "cursor=1": "query.cursor", "cursor=01-1": "query.cursor", "cursor=1--1": "query.cursor", "cursor=-1-1": "query.cursor",
			"limit=501": "query.limit", "limit=0": "query.limit", "wait=31s": "query.wait", "wait=-1s": "query.wait", "wait=1": "query.wait",
		} {
			require.Equal(t, []string{location}, s.Do(http.MethodGet, users+"/events?"+query, nil).Want(http.StatusUnprocessableEntity).Locations(), query)
		}
	})
}

func TestALongPollWaitsForAnEvent(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		got := make(chan *apitest.Answer, 1)
		go func() { got <- s.Do(http.MethodGet, users+"/events?wait=30s", nil) }()
		id := s.Do(http.MethodPost, users, person("ada@example.com")).Want(http.StatusCreated).ID()
		require.Equal(t, id, read(t, <-got)[0].Subject.String())
	})
}

func TestAStopEndsLongPolls(t *testing.T) {
	s := start(t, databases["sqlite"](t))
	s.app.Stop()
	require.Empty(t, read(t, s.Do(http.MethodGet, users+"/events?wait=30s", nil)))
}

func TestErasure(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		there := s.Do(http.MethodPost, users, person("ada@example.com")).Want(http.StatusCreated).ID()
		id := s.Do(http.MethodPost, users, person("bob@example.com")).Want(http.StatusCreated).ID()
		erasure := func(id string) *apitest.Answer { return s.Do(http.MethodGet, users+"/"+id+"/erasure", nil) }
		for _, none := range []string{there, id, unknown} {
			erasure(none).Want(http.StatusNotFound)
		}
		erasure("x").Want(http.StatusUnprocessableEntity)
		s.Do(http.MethodDelete, users+"/"+id, nil).Want(http.StatusNoContent)
		require.Equal(t, map[string]any{"order-service": nil, "mail": nil}, services(t, erasure(id), false))
		var first, last string
		apitest.Eventually(t, "the deletion is in the feed", func() bool {
			batch := read(t, s.Do(http.MethodGet, users+"/events", nil))
			if len(batch) == 3 {
				first, last = batch[0].Cursor, batch[2].Cursor
			}
			return len(batch) == 3
		})
		progress := func(name, cursor string) *apitest.Answer {
			return s.Do(http.MethodPut, users+"/events/consumers/"+name, map[string]any{"cursor": cursor})
		}
		progress("order-service", last).Want(http.StatusNoContent)
		require.NotNil(t, services(t, erasure(id), false)["order-service"])
		progress("mail", first).Want(http.StatusNoContent)
		require.Nil(t, services(t, erasure(id), false)["mail"], "the erasure waits for every consumer")
		progress("mail", last).Want(http.StatusNoContent)
		require.NotNil(t, services(t, erasure(id), true)["mail"])
		const none = "900000000000000000-900000000000000000"
		require.Contains(t, progress("mail", none).Want(http.StatusGone).Detail(), "start again")
		s.Do(http.MethodGet, users+"/events?wait=20s&cursor="+none, nil).Want(http.StatusGone)
		for _, wrong := range []string{"", "x", "1", "9000000000000000000-1"} {
			require.Equal(t, []string{"body.cursor"}, progress("mail", wrong).Want(http.StatusUnprocessableEntity).Locations())
		}
		require.Equal(t, []string{"path.consumer"}, progress("Mail", last).Want(http.StatusUnprocessableEntity).Locations())
	}, func(c *configuration) {
		c.Consumers = events.ConsumerList{"order-service": "", "mail": "", name: ""} // itself, which acknowledges nothing
	})
}

// services returns when each other service completed the erasure.
func services(t *testing.T, a *apitest.Answer, complete bool) map[string]any {
	t.Helper()
	var e struct {
		Complete bool
		Services []struct {
			Service  string
			ErasedAt any `json:"erased_at"`
		}
	}
	a.Want(http.StatusOK).Decode(&e)
	require.Equal(t, complete, e.Complete, string(a.Body))
	others := map[string]any{}
	for _, s := range e.Services {
		if s.Service != "user-service" {
			others[s.Service] = s.ErasedAt
			continue
		}
		require.NotNil(t, s.ErasedAt)
	}
	return others
}

// TestConcurrentLongPollsAreLimited: the number of concurrent long polls is limited; further
// ones are rejected with Retry-After. One caller can't hold all.
func TestConcurrentLongPollsAreLimited(t *testing.T) {
	for kind, tokens := range map[string]bool{"with tokens": true, "open": false} {
		t.Run(kind, func(t *testing.T) {
			is := apitest.NewIssuers(t, name, "users:lookup events:read")
			s := start(t, databases["sqlite"](t), func(c *configuration) {
				if tokens {
					c.AuthIssuers = is.Setting
				}
			})
			token := is.Token(t, "service:orders", events.ScopeRead)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			for range 40 {
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Address+users+"/events?wait=30s", nil)
				require.NoError(t, err)
				request.Header.Set("Authorization", token)
				go func() {
					for ctx.Err() == nil { // also after a rejection
						response, err := http.DefaultClient.Do(request)
						if err == nil {
							_ = response.Body.Close()
						}
					}
				}()
			}
			poll := func(wait, token string) *apitest.Answer {
				return s.Do(http.MethodGet, users+"/events"+wait, nil, "Authorization", token)
			}
			apitest.Eventually(t, "a long poll is rejected", func() bool { return poll("?wait=1s", token).Status == http.StatusServiceUnavailable })
			require.Empty(t, read(t, poll("", token)), "a read without waiting is answered")
			if tokens {
				require.Empty(t, read(t, poll("?wait=100ms", is.Token(t, "service:mail", events.ScopeRead))), "another caller may wait")
			}
			stop()
			apitest.Eventually(t, "the places are free again", func() bool { return poll("?wait=1ms", token).Status == http.StatusOK })
			for range 40 {
				require.Empty(t, read(t, poll("?wait=1ms", token)), "a poll that ends gives its place back")
			}
		})
	}
}
