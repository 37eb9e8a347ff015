// Package httpapi provides the HTTP layer that the services share: a Gin engine with
// middleware, typed operations with their OpenAPI document, strict request bodies,
// conditional requests, pagination, and problem details for every error.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/jsonbody"
	"github.com/example/microservices/pkg/overload"
	"github.com/example/microservices/pkg/ratelimit"
)

// Config configures an API.
type Config struct {
	// Title, Description and Version are the info of the OpenAPI document.
	Title, Description, Version string
	// BodyTimeout limits how long a request body may take to arrive.
	BodyTimeout time.Duration
	// RequestTimeout limits how long an operation may run.
	RequestTimeout time.Duration
	// Log receives one line per request.
	Log *slog.Logger
	// Metrics registers the metrics of the requests.
	Metrics prometheus.Registerer
	// Auth authenticates callers. It is required.
	Auth *auth.Verifier
	// Limits are the rate limits per caller; nil means unlimited.
	Limits *ratelimit.Policies
	// Client identifies callers without a token.
	Client ClientConfig
	// Admin serves the metrics from AdminHandler only.
	Admin bool
	// Overload limits how many operations run at once, and Memory the memory of the
	// requests in flight. nil means unlimited.
	Overload *overload.Gates
	Memory   *overload.Memory
}

// API is a set of operations, and the handler that serves them.
type API struct {
	engine *gin.Engine
	huma   huma.API
	log    *slog.Logger
	config Config
	// operations has the routes of the registered operations, and fixed the methods of
	// those without parameters in their path.
	operations            map[string]bool
	fixed                 map[string][]string
	metrics               *metrics
	gatherer              prometheus.Gatherer
	complaint             complaint
	unreadable, untrusted sync.Once // warn once; see clientOf
	stopping              chan struct{}
	refusals              refusals
}

var releaseMode sync.Once

func newEngine() *gin.Engine {
	releaseMode.Do(func() { gin.SetMode(gin.ReleaseMode) })
	return gin.New()
}

// New returns an API without operations. It panics if Config.Auth is nil.
func New(c Config) *API {
	if c.Auth == nil {
		panic("httpapi: Config.Auth is missing; use auth.Open() for a service that requires no token")
	}
	engine := newEngine()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RemoteIPHeaders = []string{"X-Forwarded-For"} // proxies append to this header; a client can send the others through them
	err := engine.SetTrustedProxies(c.Client.TrustedProxies.strings())
	if err != nil {
		panic(err) // can't happen: these were parsed as networks
	}
	a := &API{engine: engine, log: c.Log, config: c, operations: map[string]bool{}, fixed: map[string][]string{}, stopping: make(chan struct{}), refusals: refusals{paused: make(chan struct{}, maxPaused)}}

	a.metrics = newMetrics(c.Metrics)
	engine.Use(guard, a.observe(a.metrics), a.recoverPanic)
	if len(c.Client.CORSOrigins) > 0 {
		engine.Use(allowOrigins(c.Client.CORSOrigins, a.limitOthers))
	}
	engine.Use(a.limitOthers, a.refuseShadowed)
	nothing := func(g *gin.Context) {
		p := NewProblem(http.StatusNotFound, "there is no such path; /docs lists the operations")
		p.Type = TypeNoSuchPath
		a.write(g, p)
	}
	engine.NoRoute(nothing)
	engine.GET("/", func(g *gin.Context) {
		if !strings.Contains(g.GetHeader("Accept"), "text/html") {
			nothing(g)
			return
		}
		g.Redirect(http.StatusFound, "/docs")
	})
	engine.NoMethod(a.refuseMethod)

	a.huma = description(c)
	a.serveDocs()
	return a
}

// routeOf returns the route of a request, or "unmatched". Gin has a tree of routes for each
// method, so PUT /users/existing may match /users/:id, although the path is that of another
// operation. A path without parameters comes first (OpenAPI 3.1, section 4.8.8.2).
func (a *API) routeOf(g *gin.Context) string {
	route, path := g.FullPath(), g.Request.URL.Path
	if route == "" || route != path && a.fixed[path] != nil {
		return unmatched
	}
	return route
}

const unmatched = "unmatched"

// refuseShadowed rejects a request that matches no route, except by its method; see routeOf.
func (a *API) refuseShadowed(g *gin.Context) {
	if exchangeOf(g).route == unmatched && g.FullPath() != "" {
		a.refuseMethod(g)
		g.Abort()
	}
}

// refuseMethod answers with 405 and the supported methods (RFC 9110, section 15.5.6).
func (a *API) refuseMethod(g *gin.Context) {
	allowed := g.Writer.Header().Get("Allow")
	if methods := a.fixed[g.Request.URL.Path]; methods != nil { // Gin may add those of a path with parameters
		allowed = strings.Join(methods, ", ")
	}
	if strings.Contains(allowed, http.MethodGet) { // see headAsGet
		allowed += ", " + http.MethodHead
	}
	g.Header("Allow", allowed)
	a.write(g, NewProblem(http.StatusMethodNotAllowed, "this path does not support "+jsonbody.Shorten(g.Request.Method)+"; it supports "+allowed))
}

// Stop ends the waits of handlers (see Wait). Call it once.
func (a *API) Stop() { close(a.stopping) }

// Handler returns the handler that serves the operations, the documentation and the
// probes.
func (a *API) Handler() http.Handler { return headAsGet(keepSlashes(a.engine)) }

// OpenAPI returns the OpenAPI document of the operations.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

// headKey is the context key that marks a HEAD.
type headKey struct{}

// headAsGet serves HEAD as GET (RFC 9110, section 9.3.2). net/http omits the body.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), headKey{}, true)) // a copy
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

var escapedSlash = regexp.MustCompile(`%2[Ff]`)

// keepSlashes keeps an escaped slash inside its path segment (RFC 3986, section 2.2): the
// router would take it for a separator. Other escapes are decoded (section 6.2.2.2).
func keepSlashes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawPath != "" && escapedSlash.MatchString(r.URL.EscapedPath()) {
			parts := escapedSlash.Split(r.URL.EscapedPath(), -1)
			for i, part := range parts {
				parts[i], _ = url.PathUnescape(part) // can't fail: net/http has parsed the whole path
			}
			kept, address := *r, *r.URL
			address.Path, address.RawPath = strings.Join(parts, "%2F"), ""
			kept.URL = &address
			r = &kept
		}
		next.ServeHTTP(w, r)
	})
}
