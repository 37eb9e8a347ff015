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

	"github.com/example/microservices/pkg/auth"
)

func TestOrigins(t *testing.T) {
	var o Origins
	require.NoError(t, o.UnmarshalText([]byte("https://shop.example.com, http://localhost:3000,http://[::1]:8080,https://127.0.0.1,https://xn--bcher-kva.example:8443")))
	require.Equal(t, Origins{"https://shop.example.com", "http://localhost:3000", "http://[::1]:8080", "https://127.0.0.1", "https://xn--bcher-kva.example:8443"}, o)
	for _, wrong := range []string{"*", "shop.example.com", "https://", "https://shop.example.com/", "https://shop.example.com/path", "ftp://x", "https://*.example.com/x", "null", "https://user@x",
		"https://*.example.com", "https://Shop.example.com", "https://shop.example.com:443", "http://localhost:80", "https://a.com:99999", "https://a.com:0", "https://bücher.example", "http://:3000", "https://a.com:"} {
		require.Error(t, o.UnmarshalText([]byte(wrong)), wrong)
	}
}

// TestPagesOfOtherOrigins: only pages of allowed origins get CORS headers, on errors as
// well.
func TestPagesOfOtherOrigins(t *testing.T) {
	const known = "https://shop.example.com"
	serve := func(origins Origins) http.Handler {
		a := New(Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.Open(), Client: ClientConfig{CORSOrigins: origins}})
		nothing := func(context.Context, *struct{}) (Nothing, error) { return Nothing{}, nil }
		Register(a, huma.Operation{OperationID: "read", Method: http.MethodGet, Path: "/things"}, Needs("x"), nothing)
		Register(a, huma.Operation{OperationID: "write", Method: http.MethodPut, Path: "/things"}, Needs("x"), func(context.Context, *struct{ Body Body[struct{}] }) (Nothing, error) { return Nothing{}, nil })
		return a.Handler()
	}
	ask := func(h http.Handler, method, path, origin, wants string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		r.Header.Set("Origin", origin)
		if wants != "" {
			r.Header.Set("Access-Control-Request-Method", wants)
			r.Header.Set("Access-Control-Request-Headers", "authorization,if-match")
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		return answer
	}
	h := serve(Origins{known})
	preflight := ask(h, http.MethodOptions, "/things", known, http.MethodPut)
	require.Equal(t, http.StatusNoContent, preflight.Code)
	require.Equal(t, known, preflight.Header().Get("Access-Control-Allow-Origin"))
	require.Contains(t, preflight.Header().Get("Access-Control-Allow-Methods"), http.MethodPut)
	require.Contains(t, preflight.Header().Get("Access-Control-Allow-Headers"), "Authorization")
	for _, path := range []string{"/things", "/nowhere", "/things?no=parameter"} {
		answer := ask(h, http.MethodGet, path, known, "")
		require.Equal(t, known, answer.Header().Get("Access-Control-Allow-Origin"), path)
		require.Contains(t, answer.Header().Get("Access-Control-Expose-Headers"), "Etag")
		require.Contains(t, answer.Header().Values("Vary"), "Origin")
		require.Empty(t, answer.Header().Get("Access-Control-Allow-Credentials"))
	}
	stranger := ask(h, http.MethodOptions, "/things", "https://evil.example.com", http.MethodPut)
	require.Empty(t, stranger.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, http.StatusMethodNotAllowed, stranger.Code)
	read := ask(h, http.MethodGet, "/things", "https://evil.example.com", "")
	require.Equal(t, http.StatusNoContent, read.Code, "the browser withholds the answer from the page")
	require.Empty(t, read.Header().Get("Access-Control-Allow-Origin"))
	require.Contains(t, read.Header().Values("Vary"), "Origin")
	document := ask(h, http.MethodGet, "/openapi.json", known, "")
	require.Subset(t, document.Header().Values("Vary"), []string{"Origin", "Accept-Encoding"})
	none := ask(serve(nil), http.MethodGet, "/things", known, "")
	require.Empty(t, none.Header().Get("Access-Control-Allow-Origin"), "by default no origin is allowed")
	require.Equal(t, http.StatusNoContent, none.Code)
}
