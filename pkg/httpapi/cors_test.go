package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
		return newThings(t, func(c *Config) { c.Client = ClientConfig{CORSOrigins: origins} })
	}
	preflightOf := func(h http.Handler, origin string) *httptest.ResponseRecorder {
		return ask(t, h, http.MethodOptions, "/api/things", "Origin", origin, "Access-Control-Request-Method", http.MethodPut, "Access-Control-Request-Headers", "authorization,if-match")
	}
	h := serve(Origins{known})
	preflight := preflightOf(h, known)
	require.Equal(t, http.StatusNoContent, preflight.Code)
	require.Equal(t, known, preflight.Header().Get("Access-Control-Allow-Origin"))
	require.Contains(t, preflight.Header().Get("Access-Control-Allow-Methods"), http.MethodPut)
	require.Contains(t, preflight.Header().Get("Access-Control-Allow-Headers"), "Authorization")
	for _, path := range []string{"/api/things", "/nowhere", "/api/things?no=parameter"} {
		answer := ask(t, h, http.MethodGet, path, "Origin", known)
		require.Equal(t, known, answer.Header().Get("Access-Control-Allow-Origin"), path)
		require.Contains(t, answer.Header().Get("Access-Control-Expose-Headers"), "Etag")
		require.Contains(t, answer.Header().Values("Vary"), "Origin")
		require.Empty(t, answer.Header().Get("Access-Control-Allow-Credentials"))
	}
	h = serve(Origins{known, "http://example.com"})
	for _, method := range []string{http.MethodOptions, http.MethodGet} { // the request's host is example.com
		answer := ask(t, h, method, "/api/things", "Origin", "http://example.com", "Access-Control-Request-Method", http.MethodPut)
		require.Equal(t, http.StatusNoContent, answer.Code)
		require.Equal(t, "http://example.com", answer.Header().Get("Access-Control-Allow-Origin"), "the API may be at https://example.com")
	}
	exposed := strings.ToLower(preflight.Header().Get("Access-Control-Expose-Headers") + ask(t, h, http.MethodGet, "/api/things", "Origin", known).Header().Get("Access-Control-Expose-Headers"))
	for header := range answerHeaders {
		require.Contains(t, strings.Split(exposed, ","), strings.ToLower(header))
	}
	stranger := preflightOf(h, "https://evil.example.com")
	require.Empty(t, stranger.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, http.StatusMethodNotAllowed, stranger.Code)
	read := ask(t, h, http.MethodGet, "/api/things", "Origin", "https://evil.example.com")
	require.Equal(t, http.StatusNoContent, read.Code, "the browser withholds the answer from the page")
	require.Empty(t, read.Header().Get("Access-Control-Allow-Origin"))
	require.Contains(t, read.Header().Values("Vary"), "Origin")
	document := ask(t, h, http.MethodGet, "/openapi.json", "Origin", known)
	require.Subset(t, document.Header().Values("Vary"), []string{"Origin", "Accept-Encoding"})
	none := ask(t, serve(nil), http.MethodGet, "/api/things", "Origin", known)
	require.Empty(t, none.Header().Get("Access-Control-Allow-Origin"), "by default no origin is allowed")
	require.Equal(t, http.StatusNoContent, none.Code)
}
