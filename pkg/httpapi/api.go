// Package httpapi is the HTTP side that the services share: the Gin engine and
// its middleware, operations and their OpenAPI document, strict bodies,
// conditional requests, pages, and one form for every error.
package httpapi

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
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
	// Auth tells who sends a request; Rules say who may use which operation.
	Auth  *auth.Verifier
	Rules Rules
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
	a := &API{engine: engine, log: c.Log, config: c, operations: map[string]bool{}}

	a.metrics = newMetrics(c.Metrics)
	engine.Use(nosniff, a.observe(a.metrics), a.recoverPanic)
	engine.Use(a.limitOthers)
	if len(c.Client.CORSOrigins) > 0 {
		engine.Use(allowOrigins(c.Client.CORSOrigins))
	}
	engine.Use(joinLists, onlyJSON)
	engine.NoRoute(func(g *gin.Context) {
		p := NewProblem(http.StatusNotFound, "there is nothing at this path; /docs lists what there is")
		p.Type = TypeNoSuchPath
		a.write(g, p)
	})
	engine.NoMethod(func(g *gin.Context) {
		allowed := g.Writer.Header().Get("Allow")
		if strings.Contains(allowed, http.MethodGet) { // see headAsGet
			allowed += ", " + http.MethodHead
			g.Header("Allow", allowed)
		}
		a.write(g, NewProblem(http.StatusMethodNotAllowed, "this path does not take "+jsonbody.Shorten(g.Request.Method)+"; it takes "+allowed))
	})

	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	a.huma = humagin.New(engine, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI:        "3.1.0",
			Info:           &huma.Info{Title: c.Title, Description: c.Description, Version: c.Version, License: &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"}},
			Servers:        []*huma.Server{{URL: "/", Description: "Where this document is from."}},
			Components:     &huma.Components{Schemas: registry, SecuritySchemes: securitySchemes, Headers: map[string]*huma.Header{}},
			OnAddOperation: []huma.AddOpFunc{describePrefer, describe},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format}, // huma looks +json up as "json"
		DefaultFormat: "application/json",
	})
	a.serveDocs()
	return a
}

// Handler returns the handler of everything that the API serves.
func (a *API) Handler() http.Handler { return headAsGet(keepSlashes(a.engine)) }

// OpenAPI returns the document that describes the operations.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

// Register adds an operation. Its handler may return a *Problem, the errors
// of a domain that the API's service maps to one, or any other error, which
// becomes a 500. op.Errors lists the statuses beyond success that it can have;
// 401, 403, 429, 422 (for a path or a body), 500, 503 and, for a body, 400, 408,
// 413 and 415 are added. Who may use it is said by the rule under its id; without one
// Register panics.
func Register[I, O any](a *API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	rule := a.rule(&op)
	if _, list := any(new(O)).(interface{ isList() }); list && rule.memory == 0 {
		panic("httpapi: the rule of " + op.OperationID + " must have Memory: its answer is a list, and may be large")
	}
	protect(&op, rule)
	rule.deprecate(&op)
	route := ginPath.Replace(op.Path)
	a.operations[route] = true
	a.metrics.expect(op.Method, route, cmp.Or(op.DefaultStatus, http.StatusOK))
	op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	admitted := &operation{rule: rule, policy: a.policy(op.Method), reads: op.Method == http.MethodGet}
	if takesBody(op.Method) {
		admitted.maxBody = cmp.Or(rule.maxBody, MaxBodyBytes)
		op.SkipValidateBody = true                                   // Body[T] does that
		op.MaxBodyBytes, op.BodyReadTimeout = admitted.maxBody+1, -1 // admission reads it
		op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
		a.admit(admitted, ctx.Operation(), humagin.Unwrap(ctx), func() { next(ctx) })
	})
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		if a.config.RequestTimeout > 0 {
			limited, cancel := context.WithTimeout(ctx, a.config.RequestTimeout)
			defer cancel()
			ctx = limited
		}
		out, err := handler(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

// ginPath makes Gin's template of a path of OpenAPI's.
var ginPath = strings.NewReplacer("{", ":", "}", "")

func takesBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

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
