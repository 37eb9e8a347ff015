package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/pkg/auth"
)

func newTestAPI(v *auth.Verifier) *API {
	return New(Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: v})
}

func TestAnOperationWithoutARuleDoesNotStart(t *testing.T) {
	nothing := func(context.Context, *struct{}) (Nothing, error) { return Nothing{}, nil }
	op := huma.Operation{OperationID: "read", Method: http.MethodGet, Path: "/things"}
	for _, rule := range []Rule{{}, Needs()} {
		require.PanicsWithValue(t, "httpapi: the rule has no scopes for read", func() { Register(newTestAPI(auth.Open()), op, rule, nothing) })
	}
	list := func(context.Context, *struct{}) (Listed[int], error) { return Listed[int]{}, nil }
	require.Panics(t, func() { Register(newTestAPI(auth.Open()), op, Needs("x"), list) }, "a list of any size")
	Register(newTestAPI(auth.Open()), op, Needs("x").Memory(1), list)
	api := newTestAPI(auth.Open())
	Register(api, op, Needs("things:read"), nothing)
	require.Equal(t, []map[string][]string{{"token": {"things:read"}}, {"token": {"admin"}}}, api.OpenAPI().Paths["/things"].Get.Security)
}

// TestTheChallengeForAnInvalidToken tests RFC 6750, section 3.1.
func TestTheChallengeForAnInvalidToken(t *testing.T) {
	i, err := issuer.New()
	require.NoError(t, err)
	asked := make(chan struct{}, 1)
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer hung.Close()
	v, err := auth.New(auth.IssuerConfig{AuthIssuers: i.Setting("things", hung.URL)}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.NoError(t, err)
	defer v.Close()
	api := newTestAPI(v)
	Register(api, huma.Operation{OperationID: "read", Method: http.MethodGet, Path: "/things"}, Needs("things:read"),
		func(context.Context, *struct{}) (Nothing, error) { return Nothing{}, nil })
	ask := func(ctx context.Context, authorization ...string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/things", nil)
		request.Header["Authorization"] = authorization
		api.Handler().ServeHTTP(answer, request)
		return answer
	}
	for _, row := range []struct {
		authorization []string
		says          string
	}{
		{nil, "Bearer"},
		{[]string{"Basic YTpi"}, "Bearer"},
		{[]string{"Bearer x"}, `Bearer error="invalid_token", error_description="the token is malformed"`},
		{[]string{"Bearer x", "Bearer x"}, `Bearer error="invalid_token", error_description="there is more than one Authorization header"`},
	} {
		answer := ask(t.Context(), row.authorization...)
		require.Equal(t, http.StatusUnauthorized, answer.Code)
		require.Equal(t, row.says, answer.Header().Get("WWW-Authenticate"))
	}

	token, err := i.Token([]string{"things"}, "ada", "things:read")
	require.NoError(t, err)
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-asked; leave() }()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { ask(ctx, "Bearer "+token) }, "a caller that left is not told that the keys are late")
}

func TestAnOpenAPIMustBeExplicit(t *testing.T) {
	require.Panics(t, func() { newTestAPI(nil) }, "a configuration without authentication must be explicit")
}
