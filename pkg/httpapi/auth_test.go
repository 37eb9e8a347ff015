package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/auth"
)

func newTestAPI(v *auth.Verifier, rules Rules) *API {
	return New(Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: v, Rules: rules})
}

func TestAnOperationWithoutARuleDoesNotStart(t *testing.T) {
	nothing := func(context.Context, *struct{}) (*struct{}, error) { return nil, nil }
	op := huma.Operation{OperationID: "read", Method: http.MethodGet, Path: "/things"}
	require.PanicsWithValue(t, "httpapi: no rule says who may use read", func() {
		Register(newTestAPI(auth.Open(), Rules{"write": Needs("things:write")}), op, nothing)
	})
	require.Panics(t, func() { Register(newTestAPI(auth.Open(), Rules{"read": Needs()}), op, nothing) }, "a rule that says nothing")
	api := newTestAPI(auth.Open(), Rules{"read": Needs("things:read")})
	Register(api, op, nothing)
	require.Equal(t, []map[string][]string{{"token": {"things:read"}}, {"token": {"admin"}}}, api.OpenAPI().Paths["/things"].Get.Security)
}

func TestBeingOpenIsSaid(t *testing.T) {
	require.Panics(t, func() { newTestAPI(nil, nil) }, "it is never a mistake")
}
