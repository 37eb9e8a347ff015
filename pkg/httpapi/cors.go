package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"

	"github.com/example/microservices/pkg/requestid"
)

// Origins is a list of web origins (RFC 6454, section 6).
type Origins []string

// UnmarshalText parses a list separated by commas. It rejects "*": origins must be named.
func (o *Origins) UnmarshalText(text []byte) error {
	*o = nil
	for part := range strings.SplitSeq(string(text), ",") {
		origin := strings.TrimSpace(part)
		if !isOrigin(origin) {
			return errors.New("must be a list such as https://shop.example.com,http://localhost:3000, each as browsers send it: in lower case, without a path, a wildcard or the scheme's own port")
		}
		*o = append(*o, origin)
	}
	return nil
}

var originHost = regexp.MustCompile(`^(\[[0-9a-f:.]+\]|[0-9a-z._-]+)$`)

// isOrigin reports whether a browser may send an origin in this form. It writes hosts in
// lower case and as ASCII, and omits the default port
// (https://html.spec.whatwg.org, "ASCII serialization of an origin").
func isOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Scheme+"://"+u.Host != origin {
		return false
	}
	host, port := u.Host, u.Port()
	if port != "" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	isPort := port == "" || err == nil && n > 0 && port == strconv.FormatUint(n, 10) && port != map[string]string{"http": "80", "https": "443"}[u.Scheme]
	return isPort && originHost.MatchString(host)
}

// preflightAge is how long a browser may cache the answer to a preflight request.
const preflightAge = time.Hour

// allowOrigins allows pages of these origins to call the API by CORS
// (https://fetch.spec.whatwg.org, section 3.3). Requests of other origins are answered
// without CORS headers, so browsers hide the answers from their pages. Credentials aren't
// allowed: scripts send the token in a header.
//
// It comes before everything that may reject a request. limit, unless nil, may reject a
// preflight request, which goes no further.
func allowOrigins(origins Origins, limit gin.HandlerFunc) gin.HandlerFunc {
	allow := cors.New(cors.Config{
		AllowOrigins: origins,
		AllowMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowHeaders: []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "Traceparent", requestid.Header},
		ExposeHeaders: []string{
			"Accept", "Accept-Encoding", "Accept-Patch", "Allow", "Deprecation", "ETag", "Idempotent-Replayed", "Link", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After", "Sunset", "WWW-Authenticate", requestid.Header,
		},
		MaxAge: preflightAge,
	})
	return func(g *gin.Context) {
		if origin := g.GetHeader("Origin"); slices.Contains(origins, origin) {
			g.Writer.Header().Del("Allow") // Gin's, for its 405
			if g.Request.Method == http.MethodOptions && limit != nil {
				g.Header("Access-Control-Allow-Origin", origin)
				g.Header("Vary", "Origin")
				limit(g)
			}
			if !g.IsAborted() {
				// The library takes an origin with the request's host for the same origin, even if
				// its scheme or the host that the browser sees is another.
				host := g.Request.Host
				g.Request.Host = ""
				allow(g)
				g.Request.Host = host
			}
			return
		}
		g.Writer.Header().Add("Vary", "Origin")
	}
}
