package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/health"
	"github.com/example/microservices/pkg/page"
)

// eachWithTokens is like each, with a service that requires tokens.
func eachWithTokens(t *testing.T, test func(*testing.T, *server, *apitest.Issuers), change ...func(*configuration)) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			is := apitest.NewIssuers(t, name, "users:lookup events:read")
			change := append(slices.Clone(change), func(c *configuration) { c.AuthIssuers, c.AuthRequired = is.Setting, true })
			test(t, start(t, address(t), change...), is)
		})
	}
}

func newUser() map[string]any {
	return map[string]any{"name": "Ada", "email": uuid.NewString() + "@example.com"}
}

func ids(t *testing.T, a *apitest.Answer) []string {
	t.Helper()
	var list struct{ Items []struct{ ID string } }
	a.Decode(&list)
	var found []string
	for _, item := range list.Items {
		found = append(found, item.ID)
	}
	return found
}

func TestAccessRules(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		create := func(t *testing.T, owner string) {
			t.Helper()
			s.For(t).Do(http.MethodPost, users, newUser(), "Authorization", is.Token(t, owner, "users:write")).Want(http.StatusCreated)
		}
		one := func(body any) func(*testing.T, string) (string, any) {
			return func(t *testing.T, owner string) (string, any) {
				create(t, owner)
				return users + "/" + owner, body
			}
		}
		erased := func(t *testing.T, owner string) (string, any) {
			create(t, owner)
			s.For(t).Do(http.MethodDelete, users+"/"+owner, nil, "Authorization", is.Token(t, owner, "users:write")).Want(http.StatusNoContent)
			return users + "/" + owner + "/erasure", nil
		}
		s.TestAccess(t, is, []string{"health", "health-live", "health-ready"}, map[string]apitest.Access{
			"create-user": {
				Prepare: func(*testing.T, string) (string, any) { return users, newUser() },
				Owner:   201, Other: 201, Admin: 201, Service: 403,
				Check: func(t *testing.T, who, subject, _ string, a *apitest.Answer) {
					require.Equal(t, who != "admin", a.ID() == subject, "the user is the caller, or a new one")
				},
			},
			"list-users": {
				Prepare: func(t *testing.T, owner string) (string, any) { create(t, owner); return users + "?limit=100", nil },
				Owner:   200, Other: 200, Admin: 200, Service: 403,
				Check: func(t *testing.T, who, _, owner string, a *apitest.Answer) {
					switch who {
					case "owner":
						require.Equal(t, []string{owner}, ids(t, a))
					case "other":
						require.Empty(t, ids(t, a))
					case "admin":
						require.Contains(t, ids(t, a), owner)
						require.Greater(t, len(ids(t, a)), 1)
					}
				},
			},
			"get-user":   {Prepare: one(nil), Owner: 200, Other: 404, Admin: 200, Service: 200},
			"put-user":   {Prepare: one(map[string]any{"name": "Grace"}), Owner: 200, Other: 404, Admin: 200, Service: 403},
			"patch-user": {Prepare: one(map[string]any{"name": "Grace"}), Owner: 200, Other: 404, Admin: 200, Service: 403},
			"list-existing-users": {
				Prepare: func(t *testing.T, owner string) (string, any) {
					create(t, owner)
					return users + "/existing?ids=" + owner, nil
				},
				Owner: 200, Other: 200, Admin: 200, Service: 200,
			},
			"get-user-events": {Prepare: func(*testing.T, string) (string, any) { return users + "/events", nil }, Owner: 200, Other: 200, Admin: 200, Service: 200},
			"put-consumer": {
				Prepare: func(*testing.T, string) (string, any) {
					return consumer, map[string]any{"cursor": "0-0"}
				},
				Owner: 204, Other: 204, Admin: 204, Service: 204,
			},
			"get-erasure": {Prepare: erased, Owner: 200, Other: 200, Admin: 200, Service: 200},
			"delete-user": {Prepare: one(nil), Owner: 204, Other: 404, Admin: 204, Service: 403},
		})
	})
}

func TestASubjectThatIsNoUserIDCreatesNoUser(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		for _, subject := range []string{"ada@example.com", "auth0|1", uuid.Nil.String()} {
			got := s.Do(http.MethodPost, users, newUser(), "Authorization", is.Token(t, subject, "users:write users:read")).Want(http.StatusForbidden)
			require.Contains(t, got.Header.Get("WWW-Authenticate"), `scope="admin"`)
			list := s.Do(http.MethodGet, users, nil, "Authorization", is.Token(t, subject, "users:read")).Want(http.StatusOK)
			require.Empty(t, ids(t, list))
		}
	})
}

func TestACallerIsOneUser(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		me := uuid.NewString()
		token := is.Token(t, me, "users:write users:read")
		mine := newUser()
		s.Do(http.MethodPost, users, mine, "Authorization", token).Want(http.StatusCreated)
		for _, again := range []*apitest.Answer{
			s.Do(http.MethodPost, users, newUser(), "Authorization", token),
			s.Do(http.MethodPost, users, mine, "Authorization", token),
			s.Do(http.MethodPost, users, mine, "Authorization", token, "Idempotency-Key", "k"),
		} {
			require.Contains(t, again.Want(http.StatusConflict).Detail(), "exists already", "a second user is rejected even with the same address")
		}
		s.Do(http.MethodDelete, users+"/"+me, nil, "Authorization", token).Want(http.StatusNoContent)
		require.Contains(t, s.Do(http.MethodPost, users, newUser(), "Authorization", token).Want(http.StatusConflict).Detail(), "was deleted", "a deleted user's id is not used again")
	})
}

func TestIdempotencyKeysBelongToTheirCaller(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		a, b := uuid.NewString(), uuid.NewString()
		body := func(n string) map[string]any { return map[string]any{"name": n, "email": n + "@example.com"} }
		send := func(subject, n string) *apitest.Answer {
			return s.Do(http.MethodPost, users, body(n), "Authorization", is.Token(t, subject, "users:write"), "Idempotency-Key", "the same")
		}
		require.Equal(t, a, send(a, "ada").Want(http.StatusCreated).ID())
		require.Equal(t, b, send(b, "bob").Want(http.StatusCreated).ID())
		again := send(a, "ada").Want(http.StatusCreated)
		require.Equal(t, a, again.ID())
		require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	})
}

func TestHealthSaysWhetherATokenIsNeeded(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		require.Equal(t, "open", s.Do(http.MethodGet, "/health", nil).Want(http.StatusOK).Object()["auth"])
	})
	eachWithTokens(t, func(t *testing.T, s *server, _ *apitest.Issuers) {
		require.Equal(t, "token", s.Do(http.MethodGet, "/health", nil).Want(http.StatusOK).Object()["auth"])
		apitest.Eventually(t, "ready once it has keys", func() bool { return s.app.Monitor.Report().Dependencies["token-keys"] == health.Up })
	})
}

func TestNothingIsLeftRunningWithTokens(t *testing.T) {
	is := apitest.NewIssuers(t, name, "users:lookup events:read")
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("", func(t *testing.T) {
		s := start(t, databases["sqlite"](t), func(c *configuration) { c.AuthIssuers = is.Setting })
		s.Do(http.MethodGet, users, nil, "Authorization", is.Token(t, uuid.NewString(), "users:read")).Want(http.StatusOK)
	})
}

func TestWithoutKeysTokensGetServiceUnavailable(t *testing.T) {
	is := apitest.NewIssuers(t, name, "users:lookup events:read")
	s := start(t, databases["sqlite"](t), func(c *configuration) {
		c.AuthIssuers = is.People.Setting(name, "file:///nowhere/jwks.json")
	})
	s.Do(http.MethodGet, users, nil, "Authorization", is.Token(t, uuid.NewString(), "users:read")).Want(http.StatusServiceUnavailable)
	s.Do(http.MethodGet, users, nil).Want(http.StatusUnauthorized)
	s.Do(http.MethodGet, "/health/ready", nil).Want(http.StatusServiceUnavailable)
	s.Do(http.MethodGet, "/health/live", nil).Want(http.StatusOK)
}

// TestOthersResourcesAreReportedAsMissing: every operation on another user responds as for one that never
// existed; a list with another caller's cursor shows no other user.
func TestOthersResourcesAreReportedAsMissing(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		ada, bob := uuid.NewString(), uuid.NewString()
		for _, subject := range []string{ada, bob} {
			s.Do(http.MethodPost, users, person(subject+"@example.com"), "Authorization", is.Token(t, subject, "users:write")).Want(http.StatusCreated)
		}
		token := is.Token(t, ada, "users:read users:write")
		for method, body := range map[string]any{http.MethodGet: nil, http.MethodDelete: nil, http.MethodPut: person("x@example.com"), http.MethodPatch: map[string]any{"name": "X"}} {
			there := s.Do(method, users+"/"+bob, body, "Authorization", token, "X-Request-Id", "same").Want(http.StatusNotFound)
			nowhere := s.Do(method, users+"/"+unknown, body, "Authorization", token, "X-Request-Id", "same").Want(http.StatusNotFound)
			require.JSONEq(t, string(nowhere.Body), string(there.Body))
		}
		for _, query := range []string{"", "?limit=100", "?cursor=" + page.Request{Before: uuid.Max}.Cursor(), "?limit=1&cursor=" + page.Request{Before: uuid.MustParse("ffffffff-ffff-4fff-bfff-ffffffffffff")}.Cursor()} {
			got := s.Do(http.MethodGet, users+query, nil, "Authorization", token).Want(http.StatusOK)
			require.NotContains(t, string(got.Body), bob, query)
			require.Contains(t, string(got.Body), ada, query)
		}
	})
}

// TestReadOnlyFieldsNeverChange: ids and times in a body are rejected unless they equal the
// stored ones, and never change.
func TestReadOnlyFieldsNeverChange(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		created := s.Do(http.MethodPost, users, person("ada@example.com")).Want(http.StatusCreated)
		path := users + "/" + created.ID()
		for field, value := range map[string]any{"id": unknown, "created_at": "2001-01-01T00:00:00.000Z", "updated_at": "2001-01-01T00:00:00.000Z", "version": 7, "email_key": "x", "role": "admin"} {
			for _, method := range []string{http.MethodPut, http.MethodPatch} {
				refused := s.Do(method, path, map[string]any{field: value}).Want(http.StatusUnprocessableEntity)
				require.Equal(t, []string{"body." + field}, refused.Locations())
			}
			body := person("bob@example.com")
			body[field] = value
			s.Do(http.MethodPost, users, body).Want(http.StatusUnprocessableEntity)
		}
		require.Equal(t, string(created.Body), string(s.Do(http.MethodGet, path, nil).Body))
	})
}

// TestFindingUsersByAddressNeedsRights: admins and services find users by address; services may not
// read the whole list. Other callers get the same response whether or not another user has
// the address.
func TestFindingUsersByAddressNeedsRights(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		ada, bob := uuid.NewString(), uuid.NewString()
		for _, subject := range []string{ada, bob} {
			s.Do(http.MethodPost, users, person(subject+"@example.com"), "Authorization", is.Token(t, subject, "users:write")).Want(http.StatusCreated)
		}
		find := func(header, query string) *apitest.Answer {
			return s.Do(http.MethodGet, users+"?"+query, nil, "Authorization", header, "X-Request-Id", "same")
		}
		service := is.Service(t, apitest.ServiceSubject)
		for _, header := range []string{is.Token(t, uuid.NewString(), "admin"), service} {
			require.Equal(t, []string{bob}, ids(t, find(header, "email="+strings.ToUpper(bob)+"@example.com").Want(http.StatusOK)))
			require.Empty(t, ids(t, find(header, "email=nobody@example.com").Want(http.StatusOK)))
		}
		for _, query := range []string{"", "limit=1", "created_after=2026-01-02T03:04:05Z"} {
			refused := find(service, query).Want(http.StatusForbidden)
			require.Contains(t, refused.Header.Get("WWW-Authenticate"), `scope="users:read"`)
		}

		token := is.Token(t, ada, "users:read users:write")
		require.Equal(t, []string{ada}, ids(t, find(token, "email="+ada+"@example.com").Want(http.StatusOK)))
		require.Equal(t, []string{ada}, ids(t, find(token, "created_after=2026-01-02T03:04:05Z").Want(http.StatusOK)))
		require.Empty(t, ids(t, find(token, "created_before=2026-01-02T03:04:05Z").Want(http.StatusOK)))
		other, nobody := find(token, "email="+bob+"@example.com"), find(token, "email=nobody@example.com")
		require.Equal(t, http.StatusOK, other.Want(http.StatusOK).Status)
		require.Equal(t, nobody.Body, other.Body)
		for _, subject := range []string{uuid.NewString(), "no UUID"} {
			require.Empty(t, ids(t, find(is.Token(t, subject, "users:read"), "email="+bob+"@example.com").Want(http.StatusOK)))
		}
	})
}

// TestAConsumersNameIsItsSubjects: EVENTS_CONSUMERS gives a name to a subject. No other
// service may acknowledge in its name, which is a record of an erasure.
func TestAConsumersNameIsItsSubjects(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		acknowledge := func(name, subject, scope string) *apitest.Answer {
			return s.Do(http.MethodPut, users+"/events/consumers/"+name, map[string]any{"cursor": "0-0"}, "Authorization", is.Token(t, subject, scope))
		}
		acknowledge("order-service", "service:orders", events.ScopeRead).Want(http.StatusNoContent)
		acknowledge("order-service", "root", "admin").Want(http.StatusNoContent)
		require.Contains(t, acknowledge("order-service", "service:mail", events.ScopeRead).Want(http.StatusForbidden).Detail(), "another subject")
		acknowledge("mail", "service:mail", events.ScopeRead).Want(http.StatusNoContent)
		require.Contains(t, acknowledge("invented", "service:mail", events.ScopeRead).Want(http.StatusNotFound).Detail(), "EVENTS_CONSUMERS")
	}, func(c *configuration) {
		c.Consumers = events.ConsumerList{"order-service": "service:orders", "mail": ""}
	})
}
