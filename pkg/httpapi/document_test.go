package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/auth"
)

// TestADeprecatedOperationSaysSo: every answer has the headers of RFC 9745 and RFC 8594.
func TestADeprecatedOperationSaysSo(t *testing.T) {
	since, sunset := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2027, 3, 4, 5, 6, 7, 0, time.UTC)
	api := newTestAPI(auth.Open())
	type input struct {
		Fail string `query:"fail"`
		Body Body[struct{}]
	}
	for id, rule := range map[string]Rule{
		"old":   Needs("x").Deprecated(since, sunset),
		"older": Needs("x").Deprecated(since, time.Time{}),
		"new":   Needs("x"),
	} {
		Register(api, huma.Operation{OperationID: id, Method: http.MethodPost, Path: "/" + id}, rule, func(_ context.Context, in *input) (Nothing, error) {
			if in.Fail != "" {
				panic("on purpose")
			}
			return Nothing{}, nil
		})
	}
	for _, row := range []struct {
		query, body string
		status      int
	}{
		{"", "{}", http.StatusNoContent},
		{"", "{", http.StatusBadRequest},
		{"?unknown=1", "{}", http.StatusUnprocessableEntity},
		{"?fail=true", "{}", http.StatusInternalServerError},
		{"", strings.Repeat(" ", MaxBodyBytes+1), http.StatusRequestEntityTooLarge},
	} {
		for id, want := range map[string][2]string{
			"old": {"@1767312000", "Thu, 04 Mar 2027 05:06:07 GMT"}, "older": {"@1767312000", ""}, "new": {"", ""},
		} {
			answer := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+id+row.query, strings.NewReader(row.body))
			request.Header.Set("Content-Type", "application/json")
			api.Handler().ServeHTTP(answer, request)
			require.Equal(t, row.status, answer.Code)
			require.Equal(t, want, [2]string{answer.Header().Get("Deprecation"), answer.Header().Get("Sunset")}, "%s %d", id, row.status)
		}
	}

	paths := api.OpenAPI().Paths
	require.True(t, paths["/old"].Post.Deprecated)
	require.Equal(t, "2027-03-04", paths["/old"].Post.Extensions["x-sunset"])
	require.True(t, paths["/older"].Post.Deprecated)
	require.False(t, paths["/new"].Post.Deprecated)
	for status, response := range paths["/old"].Post.Responses {
		require.Contains(t, response.Headers, "Deprecation", status)
		require.Contains(t, response.Headers, "Sunset", status)
	}
	require.NotContains(t, paths["/older"].Post.Responses["204"].Headers, "Sunset")
	require.NotContains(t, paths["/new"].Post.Responses["204"].Headers, "Deprecation")
}

// TestASunsetIsNeverBeforeTheDeprecation tests RFC 9745, section 4.
func TestASunsetIsNeverBeforeTheDeprecation(t *testing.T) {
	since := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	register := func(sunset time.Time) func() {
		api := newTestAPI(auth.Open())
		return func() {
			Register(api, huma.Operation{OperationID: "old", Method: http.MethodGet, Path: "/old"}, Needs("x").Deprecated(since, sunset),
				func(context.Context, *struct{}) (Nothing, error) { return Nothing{}, nil })
		}
	}
	require.NotPanics(t, register(since))
	require.PanicsWithValue(t, "httpapi: old has a sunset before its deprecation (RFC 9745, section 4)", register(since.Add(-time.Second)))
}

// TestAnOpenServicesDocumentRequiresNoToken: a gateway configured from the document would
// otherwise answer 401 to everybody.
func TestAnOpenServicesDocumentRequiresNoToken(t *testing.T) {
	api := newTestAPI(auth.Open())
	Register(api, huma.Operation{OperationID: "change", Method: http.MethodPatch, Path: "/things"}, Needs("x"),
		func(context.Context, *struct{ Body Body[struct{}] }) (Nothing, error) { return Nothing{}, nil })
	answer := httptest.NewRecorder()
	api.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil))
	require.Equal(t, http.StatusOK, answer.Code)
	for _, none := range []string{`"security"`, "securitySchemes", "WWW-Authenticate", `"401"`, `"403"`} {
		require.NotContains(t, answer.Body.String(), none)
	}
	var document struct {
		Paths map[string]struct {
			Patch struct {
				RequestBody struct{ Content map[string]any } `json:"requestBody"`
				Responses   map[string]any
			}
		}
	}
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &document))
	patch := document.Paths["/things"].Patch
	require.Contains(t, patch.Responses, "204")
	require.Len(t, patch.RequestBody.Content, 2)
	require.Contains(t, patch.RequestBody.Content, "application/json")
	require.Contains(t, patch.RequestBody.Content, mergePatch)

	full := api.OpenAPI().Paths["/things"].Patch
	require.NotEmpty(t, full.Security, "the full document must not change")
	require.Contains(t, full.Responses, "401")
}

// TestAnswersMayGetNewMembers: a client that validates answers survives a new member, and
// a request with an unknown one stays invalid.
func TestAnswersMayGetNewMembers(t *testing.T) {
	type item struct {
		Name string `json:"name"`
	}
	type sent struct {
		Items []item `json:"items"`
	}
	type extra struct {
		At string `json:"at"`
	}
	type answered struct {
		Items []item  `json:"items"`
		Other []extra `json:"other"`
	}
	a := New(Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.Open()})
	Register(a, huma.Operation{OperationID: "read", Method: http.MethodGet, Path: "/things"}, Needs("x"),
		func(context.Context, *struct{}) (Resource[answered], error) { return Resource[answered]{}, nil })
	Register(a, huma.Operation{OperationID: "write", Method: http.MethodPost, Path: "/things"}, Needs("x"),
		func(context.Context, *struct{ Body Body[sent] }) (Resource[answered], error) {
			return Resource[answered]{}, nil
		})
	for name, schema := range a.OpenAPI().Components.Schemas.Map() {
		want := any(nil)
		if name == "Sent" || name == "Item" {
			want = false
		}
		require.Equal(t, want, schema.AdditionalProperties, name)
	}
}

// TestEveryErrorHasAnExampleOfItsStatus: without one, Swagger UI shows the schema's, a 422.
func TestEveryErrorHasAnExampleOfItsStatus(t *testing.T) {
	api := newTestAPI(auth.Open())
	type input struct {
		ID   string `path:"id" format:"uuid"`
		Body Body[struct{}]
	}
	op := huma.Operation{OperationID: "put-thing", Method: http.MethodPut, Path: "/things/{id}", Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusGone}}
	Register(api, op, Needs("x"), func(context.Context, *input) (Nothing, error) { return Nothing{}, nil })
	errors := 0
	for status, response := range api.OpenAPI().Paths["/things/{id}"].Put.Responses {
		content := response.Content["application/problem+json"]
		if content == nil {
			continue
		}
		errors++
		example, ok := content.Example.(*Problem)
		require.True(t, ok, status)
		require.Equal(t, status, strconv.Itoa(example.Status))
		require.Equal(t, http.StatusText(example.Status), example.Title)
		require.NotEqual(t, strings.ToLower(example.Title), example.Detail, "an explanation")
	}
	require.Equal(t, 14, errors)
}
