package main

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
)

// eachWithTokens is like each, with a service that requires tokens.
func eachWithTokens(t *testing.T, test func(*testing.T, *server, *apitest.Issuers)) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			is := apitest.NewIssuers(t, name, "another:scope")
			test(t, start(t, address(t), func(c *configuration) { c.AuthIssuers, c.AuthRequired = is.Setting, true }), is)
		})
	}
}

// mine returns the body of a widget whose owner is the caller.
func mine() map[string]any { return map[string]any{"name": "A name", "quantity": 3} }

// createFor creates a widget with the owner's own token.
func (s *server) createFor(t *testing.T, is *apitest.Issuers, owner string) string {
	t.Helper()
	return s.For(t).Do(http.MethodPost, widgets, mine(), "Authorization", is.Token(t, owner, "widgets:write")).Want(http.StatusCreated).ID()
}

// owners returns the distinct owners of the widgets in a list.
func owners(t *testing.T, a *apitest.Answer) []string {
	t.Helper()
	var list struct {
		Items []struct {
			OwnerID string `json:"owner_id"`
		}
	}
	a.Decode(&list)
	found := []string{}
	for _, item := range list.Items {
		found = append(found, item.OwnerID)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestAccessRules(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		one := func(body any) func(*testing.T, string) (string, any) {
			return func(t *testing.T, owner string) (string, any) { return widgets + "/" + s.createFor(t, is, owner), body }
		}
		s.TestAccess(t, is, []string{"health", "health-live", "health-ready"}, map[string]apitest.Access{
			"create-widget": {
				Prepare: func(_ *testing.T, owner string) (string, any) {
					return widgets, newWidget(map[string]any{"owner_id": owner})
				},
				Owner: 201, Other: 422, Admin: 201, Service: 403,
			},
			"list-widgets": {
				Prepare: func(t *testing.T, owner string) (string, any) {
					s.createFor(t, is, owner)
					s.createFor(t, is, uuid.NewString())
					return widgets + "?limit=100", nil
				},
				Owner: 200, Other: 200, Admin: 200, Service: 403,
				Check: func(t *testing.T, who, _, owner string, a *apitest.Answer) {
					switch who {
					case "owner":
						require.Equal(t, []string{owner}, owners(t, a))
					case "other":
						require.Empty(t, owners(t, a))
					case "admin":
						require.Contains(t, owners(t, a), owner)
						require.Greater(t, len(owners(t, a)), 1)
					}
				},
			},
			"get-widget":    {Prepare: one(nil), Owner: 200, Other: 404, Admin: 200, Service: 403},
			"put-widget":    {Prepare: one(map[string]any{"quantity": 4}), Owner: 200, Other: 404, Admin: 200, Service: 403},
			"patch-widget":  {Prepare: one(map[string]any{"quantity": 4}), Owner: 200, Other: 404, Admin: 200, Service: 403},
			"delete-widget": {Prepare: one(nil), Owner: 204, Other: 404, Admin: 204, Service: 403},
		})
	})
}

// TestOthersResourcesAreReportedAsMissing: without permission to read a widget, its id gets the same
// response as one that never existed; no filter or cursor shows more.
func TestOthersResourcesAreReportedAsMissing(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		ada, bob := uuid.NewString(), uuid.NewString()
		own := s.createFor(t, is, ada)
		other := s.createFor(t, is, bob)
		s.createFor(t, is, bob)
		token := is.Token(t, ada, "widgets:write widgets:read")
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPatch} {
			var body any
			if method == http.MethodPatch {
				body = map[string]any{"quantity": 4}
			}
			a := s.Do(method, widgets+"/"+other, body, "Authorization", token, "X-Request-Id", "same").Want(http.StatusNotFound)
			b := s.Do(method, widgets+"/"+unknown, body, "Authorization", token, "X-Request-Id", "same").Want(http.StatusNotFound)
			require.JSONEq(t, string(b.Body), string(a.Body), method)
		}
		cursor, _ := s.Do(http.MethodGet, widgets+"?limit=1", nil, "Authorization", is.Token(t, bob, "widgets:read")).Object()["next_cursor"].(string)
		require.NotEmpty(t, cursor)
		for query, want := range map[string][]string{
			"": {ada}, "?owner_id=" + ada: {ada}, "?owner_id=" + bob: {}, "?cursor=" + cursor: {ada}, "?owner_id=" + bob + "&cursor=" + cursor: {},
		} {
			got := s.Do(http.MethodGet, widgets+query, nil, "Authorization", token).Want(http.StatusOK)
			require.Equal(t, want, owners(t, got), query)
		}
		s.Do(http.MethodGet, widgets+"/"+own, nil, "Authorization", token).Want(http.StatusOK)
	})
}

// TestASubjectThatIsNoUserIDOwnsNothing: a subject that isn't a UUID owns nothing.
func TestASubjectThatIsNoUserIDOwnsNothing(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		for _, subject := range []string{"ada@example.com", uuid.Nil.String()} {
			token := is.Token(t, subject, "widgets:write widgets:read")
			s.Do(http.MethodPost, widgets, mine(), "Authorization", token).Want(http.StatusUnprocessableEntity)
			s.Do(http.MethodPost, widgets, newWidget(map[string]any{"owner_id": uuid.Nil.String()}), "Authorization", token).Want(http.StatusUnprocessableEntity)
			require.Empty(t, owners(t, s.Do(http.MethodGet, widgets, nil, "Authorization", token).Want(http.StatusOK)))
		}
	})
}

// TestAReplayNeedsTheCurrentRights repeats a request with a token that has lost a scope.
func TestAReplayNeedsTheCurrentRights(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		ada, subject := uuid.NewString(), uuid.NewString()
		send := func(scopes string) *apitest.Answer {
			return s.Do(http.MethodPost, widgets, newWidget(map[string]any{"owner_id": ada}), "Authorization", is.Token(t, subject, scopes), "Idempotency-Key", "k")
		}
		made := send("admin").Want(http.StatusCreated).ID()
		send("widgets:write widgets:read").Want(http.StatusNotFound)
		require.Equal(t, made, send("admin").Want(http.StatusCreated).ID())
		s.Do(http.MethodDelete, widgets+"/"+made, nil, "Authorization", is.Token(t, ada, "widgets:write")).Want(http.StatusNoContent)
		send("admin").Want(http.StatusGone)
	})
}
