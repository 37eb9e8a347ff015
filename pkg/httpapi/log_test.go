package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/telemetry"
)

// TestAHEADIsLoggedAsSuch: without the bytes that a GET would have sent.
func TestAHEADIsLoggedAsSuch(t *testing.T) {
	var written strings.Builder
	h := newThings(t, func(c *Config) {
		c.Log = telemetry.NewLogger(&written, telemetry.LogConfig{Format: "json"}, "test", "1")
	})
	require.Equal(t, http.StatusOK, ask(t, h, http.MethodHead, "/openapi.json").Code)
	require.Contains(t, written.String(), `"method":"HEAD","route":"/openapi.json","status":200`)
	require.Contains(t, written.String(), `"bytes":0`)
}

// TestTheTextLogHasThePathAndTheReason: the text log has the path and the reason of a rejection, without
// values. The JSON log has the route only.
func TestTheTextLogHasThePathAndTheReason(t *testing.T) {
	served := func(format string) string {
		var written strings.Builder
		log := telemetry.NewLogger(&written, telemetry.LogConfig{Format: format}, "test", "1")
		a := New(Config{Log: log, Metrics: prometheus.NewRegistry(), Auth: auth.Open()})
		Register(a, huma.Operation{OperationID: "write", Method: http.MethodPost, Path: "/things"}, Needs("x"),
			func(context.Context, *struct {
				PageParams
				Body Body[struct {
					Count int `json:"count"`
				}]
			}) (Nothing, error) {
				return Nothing{}, nil
			})
		for _, request := range []string{"POST /things?limit=lots", "POST /things", "GET /thinks/7", "GET /docs"} {
			method, target, _ := strings.Cut(request, " ")
			r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(`{"count":"ada@example.com"}`))
			r.Header.Set("Content-Type", "application/json")
			a.Handler().ServeHTTP(httptest.NewRecorder(), r)
		}
		require.NotContains(t, written.String(), "ada@")
		require.NotContains(t, written.String(), "lots")
		return written.String()
	}
	text := regexp.MustCompile(`(?m)^\S+ (\S+ \S+ \d+) \S+`).ReplaceAllString(served("text"), "$1")
	require.Equal(t, `POST /things 422 validation failed: query.limit must be a whole number, 1 to 100; body.count must be a whole number
POST /things 422 validation failed: body.count must be a whole number
GET /thinks/7 404 there is no such path; /docs lists the operations
`, text)
	json := served("json")
	require.Contains(t, json, `"route":"/docs"`)
	require.NotContains(t, json, "thinks")
	require.NotContains(t, json, "body.count")
}
