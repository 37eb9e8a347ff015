//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
)

// people is an issuer of people's tokens, outside the cluster like an identity provider.
type people struct {
	*issuer.Issuer
	port int
}

// newPeople starts the issuer at an address that pods reach, until the test ends.
func newPeople(t *testing.T) *people {
	t.Helper()
	made, err := issuer.New()
	require.NoError(t, err)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(os.Getenv("E2E_HOST"), "0"))
	require.NoError(t, err, "E2E_HOST must be an address of this machine that pods reach")
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: made}}
	server.Start()
	t.Cleanup(server.Close)
	made.URL = server.URL
	return &people{made, listener.Addr().(*net.TCPAddr).Port}
}

// values are chart values with which a release requires the issuer's tokens.
func (p *people) values() string {
	return fmt.Sprintf(`
auth: {required: true, issuers: [{issuer: %s}]}
smokeTest: {tokenSecret: smoke}
networkPolicy: {issuers: {ports: [443, 6443, %d]}}
`, p.URL, p.port)
}

// token returns a token for both services.
func (p *people) token(t *testing.T, subject, scopes string) string {
	t.Helper()
	token, err := p.Token([]string{"user-service", "order-service"}, subject, scopes)
	require.NoError(t, err)
	return token
}

// TestAccessRules: with issuers, every caller needs a token. Services use the tokens of their
// ServiceAccounts, and other ServiceAccounts' tokens are rejected.
func TestAccessRules(t *testing.T) {
	t.Parallel()
	n, id := newNamespace(t), newPeople(t)
	n.kubectl("create", "secret", "generic", "smoke", "--from-literal=token="+id.token(t, uuid.NewString(), "admin"))
	n.install(installation{images: releases[0], values: n.postgresMode() + id.values() + `
defaults: {replicas: 1, env: {USER_CLIENT_CACHE_TTL: 0s}}
`})
	n.smokeTest(name)

	users := "http://" + n.forward("service/shop-user-service", 8000)
	ada := uuid.NewString()
	hers := id.token(t, ada, "users:read users:write orders:read orders:write")
	require.Equal(t, http.StatusUnauthorized, ask(t, http.MethodPost, users+"/api/v1/users", aUser).status)
	require.Equal(t, ada, askAs(t, hers, http.MethodPost, users+"/api/v1/users", aUser).id(t))

	// order-service looks Ada up with its own token.
	order := func() answer {
		return askAs(t, hers, http.MethodPost, "http://"+n.forward("service/shop-order-service", 8001)+"/api/v1/orders", anOrder(ada))
	}
	order().id(t)

	lookup := func(account, audience string) int {
		token := strings.TrimSpace(n.kubectl("create", "token", account, "--audience="+audience))
		return askAs(t, token, http.MethodGet, users+"/api/v1/users/"+ada, "").status
	}
	n.kubectl("create", "serviceaccount", "stranger")
	require.Equal(t, http.StatusOK, lookup("shop-order-service", "user-service"))
	require.Equal(t, http.StatusUnauthorized, lookup("shop-order-service", "order-service"), "a token for another audience")
	require.Equal(t, http.StatusForbidden, lookup("shop-user-service", "user-service"), "user-service may not look users up")
	require.Equal(t, http.StatusForbidden, lookup("stranger", "user-service"))

	// The same pod with another ServiceAccount.
	setAccount := func(account string) {
		n.kubectl("set", "serviceaccount", "deployment/shop-order-service", account)
		n.kubectl("rollout", "status", "deployment/shop-order-service", "--timeout=3m")
		n.eventually("the old pods are gone", func() bool {
			return len(strings.Fields(n.kubectl("get", "pods", "--selector=app.kubernetes.io/name=order-service", "--output=name"))) == 1
		})
	}
	setAccount("stranger")
	refused := order()
	require.Equal(t, http.StatusServiceUnavailable, refused.status, refused.body)
	setAccount("shop-order-service")
	order().id(t)
}
