package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/internal/testkit/process"
	"github.com/example/microservices/services/order-service/internal/userclient"
)

// guarded is an order-service and a user-service that both require tokens; user-service
// accepts order-service's own token.
type guarded struct {
	*server
	is    *apitest.Issuers
	users *process.Process
	// tokenFile contains order-service's own token.
	tokenFile string
}

func eachWithTokens(t *testing.T, test func(*testing.T, *guarded)) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, startGuarded(t, address(t), apitest.ServiceSubject))
		})
	}
}

// startGuarded starts both. identity is the subject of order-service's token.
func startGuarded(t *testing.T, address, identity string) *guarded {
	t.Helper()
	is := apitest.NewIssuers(t, name, "users:lookup events:read")
	g := &guarded{is: is, tokenFile: filepath.Join(t.TempDir(), "token")}
	require.NoError(t, issuer.WriteToken(g.tokenFile, is.ServiceToken(t, "user-service", identity)))
	g.users = process.Start(t, process.Build(t, "user-service"), "DATABASE_URL=sqlite://"+filepath.Join(t.TempDir(), "users.db"),
		"AUTH_ISSUERS="+is.SettingOf("user-service", "users:lookup events:read"), "AUTH_REQUIRED=true")
	g.server = start(t, address, func(c *configuration) {
		c.AuthIssuers, c.AuthRequired = is.Setting, true
		c.UserClient.URL, c.UserClient.TokenFile = g.users.URL, g.tokenFile
		c.UserClient.CacheTTL = 0
	})
	return g
}

// register creates the user whose id is the subject.
func (g *guarded) register(t *testing.T, subject string) {
	t.Helper()
	g.atUsers(t, http.MethodPost, "/api/v1/users", subject, "users:write").Want(http.StatusCreated)
}

// atUsers calls user-service with a token of a subject with some scopes.
func (g *guarded) atUsers(t *testing.T, method, path, subject, scopes string) *apitest.Answer {
	t.Helper()
	token, err := g.is.People.Token([]string{"user-service"}, subject, scopes)
	require.NoError(t, err)
	var body any
	if method == http.MethodPost {
		body = map[string]any{"name": "Ada", "email": uuid.NewString() + "@example.com"}
	}
	return apitest.NewClient(t, nil, g.users.URL).Do(method, path, body, "Authorization", "Bearer "+token)
}

// orderFor creates an order of a registered user, with the user's own token.
func (g *guarded) orderFor(t *testing.T, subject string) string {
	t.Helper()
	g.register(t, subject)
	return g.For(t).Do(http.MethodPost, orders, g.order(map[string]any{"user_id": subject}),
		"Authorization", g.is.Token(t, subject, "orders:write")).Want(http.StatusCreated).ID()
}

// owners returns the distinct owners of the orders in a list.
func owners(t *testing.T, a *apitest.Answer) []string {
	t.Helper()
	var list struct {
		Items []struct {
			UserID string `json:"user_id"`
		}
	}
	a.Decode(&list)
	found := []string{}
	for _, item := range list.Items {
		found = append(found, item.UserID)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestAccessRules(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, g *guarded) {
		one := func(body any) func(*testing.T, string) (string, any) {
			return func(t *testing.T, owner string) (string, any) { return orders + "/" + g.orderFor(t, owner), body }
		}
		list := func(path string) func(*testing.T, string) (string, any) {
			return func(t *testing.T, owner string) (string, any) {
				g.orderFor(t, owner)
				g.orderFor(t, uuid.NewString())
				return orders + strings.ReplaceAll(path, "{owner}", owner), nil
			}
		}
		ofOwner := func(t *testing.T, who, _, owner string, a *apitest.Answer) {
			if who == "other" {
				require.Empty(t, owners(t, a))
				return
			}
			require.Equal(t, []string{owner}, owners(t, a))
		}
		g.TestAccess(t, g.is, []string{"health", "health-live", "health-ready"}, map[string]apitest.Access{
			"create-order": {
				Prepare: func(t *testing.T, owner string) (string, any) {
					g.register(t, owner)
					return orders, g.order(map[string]any{"user_id": owner})
				},
				Owner: 201, Other: 422, Admin: 201, Service: 403,
			},
			"list-orders": {
				Prepare: list("?limit=100"), Owner: 200, Other: 200, Admin: 200, Service: 403,
				Check: func(t *testing.T, who, subject, owner string, a *apitest.Answer) {
					if who == "admin" {
						require.Contains(t, owners(t, a), owner)
						require.Greater(t, len(owners(t, a)), 1)
						return
					}
					ofOwner(t, who, subject, owner, a)
				},
			},
			"list-orders-of-user": {Prepare: list("/user/{owner}"), Owner: 200, Other: 200, Admin: 200, Service: 403, Check: ofOwner},
			"get-order":           {Prepare: one(nil), Owner: 200, Other: 404, Admin: 200, Service: 403},
			"put-order":           {Prepare: one(map[string]any{"shipping_address": "elsewhere"}), Owner: 200, Other: 404, Admin: 200, Service: 403},
			"patch-order":         {Prepare: one(map[string]any{"shipping_address": "elsewhere"}), Owner: 200, Other: 404, Admin: 200, Service: 403},
			"get-order-history": {
				Prepare: func(t *testing.T, owner string) (string, any) {
					return orders + "/" + g.orderFor(t, owner) + "/events", nil
				},
				Owner: 200, Other: 404, Admin: 200, Service: 403,
			},
			"get-order-events": {Prepare: func(*testing.T, string) (string, any) { return orders + "/events", nil }, Owner: 200, Other: 200, Admin: 200, Service: 200},
			"delete-order":     {Prepare: one(nil), Owner: 204, Other: 404, Admin: 204, Service: 403},
		})
	})
}

func TestFiltersShowOnlyOwnOrders(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, g *guarded) {
		ada, bob := uuid.NewString(), uuid.NewString()
		g.orderFor(t, ada)
		g.orderFor(t, bob)
		token := g.is.Token(t, ada, "orders:read")
		for query, want := range map[string][]string{
			"":                                  {ada},
			"?user_id=" + ada:                   {ada},
			"?user_id=" + bob:                   {},
			"?status=pending":                   {ada},
			"?status=pending&user_id=" + bob:    {},
			"?status=cancelled&user_id=" + ada:  {},
			"?limit=1":                          {ada},
			"?user_id=" + uuid.Nil.String():     {},
			"?user_id=" + strings.ToUpper(ada):  {ada},
			"?user_id=" + strings.ToUpper(bob):  {},
			"?status=confirmed&user_id=" + bob:  {},
			"?status=pending&limit=1":           {ada},
			"?user_id=" + uuid.Max.String():     {},
			"?status=pending&user_id=" + ada:    {ada},
			"?limit=100&user_id=" + bob:         {},
			"?limit=100&status=pending":         {ada},
			"?user_id=" + bob + "&limit=1":      {},
			"?user_id=" + unknown + "&limit=10": {},
		} {
			got := g.Do(http.MethodGet, orders+query, nil, "Authorization", token).Want(http.StatusOK)
			require.Equal(t, want, owners(t, got), query)
			require.NotContains(t, string(got.Body), bob, query)
		}
	})
}

// TestAnotherCallersCursorShowsOnlyOwnOrders: a cursor is an id, and a caller who has it sees
// only its own orders below it.
func TestAnotherCallersCursorShowsOnlyOwnOrders(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, g *guarded) {
		ada, bob := uuid.NewString(), uuid.NewString()
		mine := g.orderFor(t, ada)
		g.orderFor(t, bob)
		for range 2 {
			g.Do(http.MethodPost, orders, g.order(map[string]any{"user_id": bob}), "Authorization", g.is.Token(t, bob, "orders:write")).Want(http.StatusCreated)
		}
		of := func(subject, query string) *apitest.Answer {
			return g.Do(http.MethodGet, orders+query, nil, "Authorization", g.is.Token(t, subject, "orders:read")).Want(http.StatusOK)
		}
		cursor, _ := of(bob, "?limit=1").Object()["next_cursor"].(string)
		require.NotEmpty(t, cursor)
		for _, path := range []string{"?cursor=" + cursor, "/user/" + ada + "?cursor=" + cursor, "?status=pending&cursor=" + cursor} {
			got := of(ada, path)
			require.Equal(t, []string{ada}, owners(t, got), path)
			require.Contains(t, string(got.Body), mine)
		}
		require.Empty(t, owners(t, of(ada, "/user/"+bob+"?cursor="+cursor)))
	})
}

// TestOthersResourcesAreReportedAsMissing: without permission to read a user, its id gets the same response
// as an id that never existed.
func TestOthersResourcesAreReportedAsMissing(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, g *guarded) {
		ada, bob := uuid.NewString(), uuid.NewString()
		order := g.orderFor(t, bob)
		token := g.is.Token(t, ada, "orders:write orders:read")
		same := func(method, there, nowhere string, body, other any) {
			a := g.Do(method, there, body, "Authorization", token, "X-Request-Id", "same")
			b := g.Do(method, nowhere, other, "Authorization", token, "X-Request-Id", "same")
			require.Equal(t, b.Status, a.Status)
			require.JSONEq(t, string(b.Body), string(a.Body))
		}
		same(http.MethodGet, orders+"/"+order, orders+"/"+unknown, nil, nil)
		same(http.MethodDelete, orders+"/"+order, orders+"/"+unknown, nil, nil)
		same(http.MethodPatch, orders+"/"+order, orders+"/"+unknown, map[string]any{"status": "confirmed"}, map[string]any{"status": "confirmed"})
		same(http.MethodPost, orders, orders, g.order(map[string]any{"user_id": bob}), g.order(map[string]any{"user_id": unknown}))
		same(http.MethodGet, orders+"/user/"+bob, orders+"/user/"+unknown, nil, nil)
	})
}

func TestUserServiceKnowsOrderServiceByItsToken(t *testing.T) {
	g := startGuarded(t, databases["sqlite"](t), "system:serviceaccount:other:order-service")
	ada := uuid.NewString()
	g.register(t, ada)
	create := func() int {
		return g.Do(http.MethodPost, orders, g.order(map[string]any{"user_id": ada}), "Authorization", g.is.Token(t, ada, "orders:write")).Status
	}
	require.Equal(t, http.StatusServiceUnavailable, create(), "another ServiceAccount may not look users up")

	require.NoError(t, issuer.WriteToken(g.tokenFile, g.is.ServiceToken(t, "user-service", apitest.ServiceSubject)))
	require.Equal(t, http.StatusCreated, create(), "the file is read again")

	require.NoError(t, issuer.WriteToken(g.tokenFile, g.is.ServiceToken(t, "another", apitest.ServiceSubject)))
	require.Equal(t, http.StatusServiceUnavailable, create(), "a token for another audience")

	require.NoError(t, os.Remove(g.tokenFile))
	require.Equal(t, http.StatusServiceUnavailable, create(), "no token")
}

func TestAMissingTokenFileIsReportedAtTheStart(t *testing.T) {
	c := newConfiguration()
	c.UserClient.URL, c.UserClient.TokenFile = "http://users", filepath.Join(t.TempDir(), "token")
	_, err := userclient.New(c.UserClient, nil, nil)
	require.ErrorContains(t, err, "USER_CLIENT_TOKEN_FILE")
	require.NoError(t, os.WriteFile(c.UserClient.TokenFile, []byte("\n"), 0o600))
	_, err = userclient.New(c.UserClient, nil, nil)
	require.ErrorContains(t, err, "empty")
}
