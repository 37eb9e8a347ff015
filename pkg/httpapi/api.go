// Package httpapi is the HTTP side that the services share: the Gin engine and
// its middleware, operations and their OpenAPI document, strict bodies,
// conditional requests, pages, and one form for every error.
package httpapi

import (
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

// Config says what a service is called and how patient it is.
type Config struct {
	// Title, Description and Version head the OpenAPI document.
	Title, Description, Version string
	// BodyTimeout is how long a body may take to arrive.
	BodyTimeout time.Duration
	// RequestTimeout is how long an operation may take.
	RequestTimeout time.Duration
	// Log takes one line for each request.
	Log *slog.Logger
	// Metrics takes the metrics of the requests.
	Metrics prometheus.Registerer
	// Auth tells who sends a request.
	Auth *auth.Verifier
	// Limits say how much one caller may ask for; nil is any number.
	Limits *ratelimit.Policies
	// Client says who a caller without a token is.
	Client ClientConfig
	// Admin says that the metrics are served by AdminHandler only.
	Admin bool
	// Overload bounds how many operations are worked on, and Memory how much memory
	// those under way may hold; nil is no bound.
	Overload *overload.Gates
	Memory   *overload.Memory
}

// API is a set of operations, and the handler that serves them.
type API struct {
	engine *gin.Engine
	huma   huma.API
	log    *slog.Logger
	config Config
	// operations are the routes of those that were registered.
	operations            map[string]bool
	metrics               *metrics
	gatherer              prometheus.Gatherer
	complaint             complaint
	unreadable, untrusted sync.Once // see clientOf
	stopping              chan struct{}
	paused                chan struct{} // see refuse
}

var releaseMode sync.Once

// New returns an API without operations.
func New(c Config) *API {
	if c.Auth == nil {
		panic("httpapi: Config.Auth is missing; auth.Open() is for everybody")
	}
	releaseMode.Do(func() { gin.SetMode(gin.ReleaseMode) })
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.RemoteIPHeaders = []string{"X-Forwarded-For"} // what proxies add to; others a client may send through them
	err := engine.SetTrustedProxies(c.Client.TrustedProxies.strings())
	if err != nil {
		panic(err) // they are networks
	}
	a := &API{engine: engine, log: c.Log, config: c, operations: map[string]bool{}, stopping: make(chan struct{}), paused: make(chan struct{}, maxPaused)}

	a.metrics = newMetrics(c.Metrics)
	engine.Use(nosniff, a.observe(a.metrics), a.recoverPanic)
	engine.Use(a.limitOthers)
	if len(c.Client.CORSOrigins) > 0 {
		engine.Use(allowOrigins(c.Client.CORSOrigins))
	}
	nothing := func(g *gin.Context) {
		p := NewProblem(http.StatusNotFound, "there is nothing at this path; /docs lists what there is")
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
	engine.NoMethod(func(g *gin.Context) {
		allowed := g.Writer.Header().Get("Allow")
		if strings.Contains(allowed, http.MethodGet) { // see headAsGet
			allowed += ", " + http.MethodHead
			g.Header("Allow", allowed)
		}
		a.write(g, NewProblem(http.StatusMethodNotAllowed, "this path does not take "+jsonbody.Shorten(g.Request.Method)+"; it takes "+allowed))
	})

	a.huma = description(c)
	a.serveDocs()
	return a
}

// Stop ends what handlers wait for. It is called once.
func (a *API) Stop() { close(a.stopping) }

// Handler returns the handler of everything that the API serves.
func (a *API) Handler() http.Handler { return headAsGet(keepSlashes(a.engine)) }

// OpenAPI returns the document that describes the operations.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

// headAsGet answers HEAD wherever GET is (RFC 9110, section 9.3.2). The server
// leaves the body out.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			get := *r
			get.Method = http.MethodGet
			r = &get
		}
		next.ServeHTTP(w, r)
	})
}

var escapedSlash = regexp.MustCompile(`%2[Ff]`)

// keepSlashes keeps a slash that is escaped part of its segment (RFC 3986, section
// 2.2), which the router would take for one that separates two. Other escapes are the
// characters that they stand for (section 6.2.2.2).
func keepSlashes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawPath != "" && escapedSlash.MatchString(r.URL.EscapedPath()) {
			parts := escapedSlash.Split(r.URL.EscapedPath(), -1)
			for i, part := range parts {
				parts[i], _ = url.PathUnescape(part) // the whole was read already
			}
			kept, address := *r, *r.URL
			address.Path, address.RawPath = strings.Join(parts, "%2F"), ""
			kept.URL = &address
			r = &kept
		}
		next.ServeHTTP(w, r)
	})
}
