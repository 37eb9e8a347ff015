package httpapi

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/health"
)

// TestEveryRouteIsKnown: every route is in the document, or belongs to the documentation
// or the metrics. A route added without Register would have no rule and no limit.
func TestEveryRouteIsKnown(t *testing.T) {
	a := newTestAPI(auth.Open())
	Register(a, huma.Operation{OperationID: "read", Method: http.MethodGet, Path: "/things/{id}"}, Needs("x"), func(context.Context, *struct {
		ID string `path:"id"`
	}) (Nothing, error) {
		return Nothing{}, nil
	})
	RegisterHealth(a, "test", "1", health.NewMonitor(a.log), prometheus.NewRegistry())
	known := map[string]bool{"GET /": true, "GET /metrics": true, "GET /openapi.json": true, "GET /openapi.yaml": true, "GET /docs": true}
	for path, item := range a.OpenAPI().Paths {
		require.NotNil(t, item.Get, path)
		known["GET "+ginPath.Replace(path)] = true
	}
	for _, route := range a.engine.Routes() {
		what := route.Method + " " + route.Path
		require.True(t, known[what] || strings.HasPrefix(what, "GET /docs/"), "%s is not in the document; there are %v", what, slices.Sorted(maps.Keys(known)))
	}
}

// TestTheRootLeadsBrowsersToTheDocumentation, and tells other clients that nothing is there.
func TestTheRootLeadsBrowsersToTheDocumentation(t *testing.T) {
	for accept, want := range map[string]int{"text/html,*/*;q=0.8": http.StatusFound, "application/json": http.StatusNotFound, "": http.StatusNotFound} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		newTestAPI(auth.Open()).Handler().ServeHTTP(w, request)
		require.Equal(t, want, w.Code, accept)
		if want == http.StatusFound {
			require.Equal(t, "/docs", w.Header().Get("Location"))
		}
	}
}
