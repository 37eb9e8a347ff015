package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
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
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return errors.New("must be a list such as https://shop.example.com,http://localhost:3000, each without a path")
		}
		*o = append(*o, origin)
	}
	return nil
}

// preflightAge is how long a browser may cache the answer to a preflight request.
const preflightAge = time.Hour

// allowOrigins allows pages of these origins to call the API by CORS
// (https://fetch.spec.whatwg.org, section 3.3). Requests of other origins are answered
// without CORS headers, so browsers hide the answers from their pages. Credentials aren't
// allowed: scripts send the token in a header.
func allowOrigins(origins Origins) gin.HandlerFunc {
	allow := cors.New(cors.Config{
		AllowOrigins: origins,
		AllowMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowHeaders: []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "Traceparent", requestid.Header},
		ExposeHeaders: []string{
			"Deprecation", "ETag", "Idempotent-Replayed", "Link", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After", "Sunset", "WWW-Authenticate", requestid.Header,
		},
		MaxAge: preflightAge,
	})
	return func(g *gin.Context) {
		if slices.Contains(origins, g.GetHeader("Origin")) {
			allow(g)
			return
		}
		g.Writer.Header().Add("Vary", "Origin")
	}
}
