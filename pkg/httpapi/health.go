package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/example/microservices/pkg/health"
	"github.com/example/microservices/pkg/requestid"
)

const metricsPath = "/metrics"

type healthBody struct {
	Status  string `json:"status" enum:"ok" doc:"Always ok."`
	Service string `json:"service" doc:"The service's name." example:"user-service"`
	Version string `json:"version" doc:"The version of this build."`
	Auth    string `json:"auth" enum:"token,open" doc:"token: the operations require a token. open: they require none, and every client has full access."`
}

type healthOutput struct{ Body healthBody }

type readyOutput struct{ Body health.Report }

// Starting returns the handler for the time until the service is open: it answers the
// probes as alive and not ready, and everything else with 503. open says that the service
// will require no token. origins are those of Config.Client.
func Starting(service, version string, open bool, origins Origins) http.Handler {
	engine := newEngine()
	if len(origins) > 0 {
		engine.Use(allowOrigins(origins, nil))
	}
	engine.NoRoute(gin.WrapH(starting(service, version, open)))
	return engine
}

func starting(service, version string, open bool) http.Handler {
	alive, ready := newHealthBody(service, version, open), health.Report{Status: health.NotReady, Dependencies: map[string]health.Status{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := requestid.With(r.Context(), identify(w, r))
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close")
			defer discard(w, r, r.Body, false)
		}
		guardHeader(w.Header())
		status, body := http.StatusOK, any(alive)
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case reads && (r.URL.Path == "/health" || r.URL.Path == "/health/live"):
		case reads && r.URL.Path == "/health/ready":
			status, body = http.StatusServiceUnavailable, ready
		default:
			_ = Unavailable("the service is starting", time.Second).send(ctx, w) // the client is gone, and nothing is left to report it to
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.MarshalWrite(w, body)
	})
}

func newHealthBody(service, version string, open bool) healthBody {
	body := healthBody{Status: "ok", Service: service, Version: version, Auth: "token"}
	if open {
		body.Auth = "open"
	}
	return body
}

// RegisterHealth adds the probes, and the metrics unless Config.Admin moves them to their
// own port.
func RegisterHealth(a *API, service, version string, monitor *health.Monitor, metrics prometheus.Gatherer) {
	body := newHealthBody(service, version, a.config.Auth.IsOpen())
	alive := func(g *gin.Context) { a.answer(g, http.StatusOK, body) }
	tags, nobody := []string{"Health"}, []map[string][]string{}
	a.OpenAPI().Tags = append(a.OpenAPI().Tags, &huma.Tag{Name: "Health", Description: "Liveness and readiness of the service."})
	// Probes have no problem answers: an explicit Responses keeps huma from adding any.
	describeProbe[healthOutput](a, huma.Operation{
		OperationID: "health", Method: http.MethodGet, Path: "/health", Tags: tags,
		Summary: "Get the name and version of the service", Description: "Checks no dependency. Always responds 200.", Security: nobody, Responses: map[string]*huma.Response{},
	}, alive)
	describeProbe[healthOutput](a, huma.Operation{
		OperationID: "health-live", Method: http.MethodGet, Path: "/health/live", Tags: tags,
		Summary: "Check that the process is alive", Description: "Checks no dependency, so that an unavailable database causes no restart.", Security: nobody, Responses: map[string]*huma.Response{},
	}, alive)
	describeProbe[readyOutput](a, huma.Operation{
		OperationID: "health-ready", Method: http.MethodGet, Path: "/health/ready", Tags: tags,
		Summary: "Check that the service is ready for requests", Description: "Reports the last check of each dependency.", Security: nobody,
		Responses: map[string]*huma.Response{
			"503": {
				Description: "Not ready: a required dependency is down, or the service is starting or stopping.",
				Content: map[string]*huma.MediaType{"application/json": {
					Schema:  &huma.Schema{Ref: "#/components/schemas/Report"},
					Example: health.Report{Status: health.NotReady, Dependencies: map[string]health.Status{"database": health.Down}},
				}},
			},
		},
	}, func(g *gin.Context) {
		report, status := monitor.Report(), http.StatusOK
		if report.Status == health.NotReady {
			status = http.StatusServiceUnavailable
		}
		a.answer(g, status, report)
	})
	a.gatherer = metrics
	if !a.config.Admin {
		// One at a time: gathering keeps a CPU busy.
		a.engine.GET(metricsPath, gin.WrapH(a.metricsHandler(1)))
	}
	for _, path := range []string{"/health", "/health/live", "/health/ready"} {
		delete(a.OpenAPI().Paths[path].Get.Responses, "default")
	}
}

// describeProbe serves a route that is no operation, and adds it to the document.
func describeProbe[Output any](a *API, op huma.Operation, serve gin.HandlerFunc) {
	huma.Register(a.huma, op, func(context.Context, *struct{}) (*Output, error) {
		panic("httpapi: Gin serves this operation, not huma")
	})
	a.engine.Handle(op.Method, op.Path, serve)
}

// answer sends a value as JSON.
func (a *API) answer(g *gin.Context, status int, v any) {
	err := exchangeOf(g).json(status, v)
	if err != nil && g.Request.Context().Err() == nil {
		a.log.WarnContext(g.Request.Context(), "can't write the response", slog.Any("error", err))
	}
}

func (a *API) metricsHandler(most int) http.Handler {
	return promhttp.HandlerFor(a.gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: most})
}

// maxScrapes limits how many scrapes run at once on the admin port.
const maxScrapes = 3

// maxProfile limits the duration of a profile, whatever the request says.
const maxProfile = 2 * time.Minute

// takenFor cancels each request's context, and so its profile, after most.
func takenFor(most time.Duration, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), most)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// AdminHandler returns the handler of the admin port: the metrics, the probes and, if
// profiles is set, the profiles of net/http/pprof.
func (a *API) AdminHandler(profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, a.metricsHandler(maxScrapes))
	mux.Handle("GET /health", a.Handler())
	mux.Handle("GET /health/", a.Handler())
	if profiles {
		of := http.NewServeMux()
		of.HandleFunc("/debug/pprof/", pprof.Index)
		of.HandleFunc("/debug/pprof/profile", pprof.Profile)
		of.HandleFunc("/debug/pprof/trace", pprof.Trace)
		mux.Handle("GET /debug/pprof/", takenFor(maxProfile, of))
	}
	return mux
}
