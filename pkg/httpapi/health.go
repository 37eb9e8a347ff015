package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/example/microservices/pkg/health"
)

const metricsPath = "/metrics"

type healthBody struct {
	Status  string `json:"status" enum:"ok" doc:"Always ok: it answers."`
	Service string `json:"service" doc:"The service's name." example:"user-service"`
	Version string `json:"version" doc:"The version of this build."`
	Auth    string `json:"auth" enum:"token,open" doc:"token: the operations need one. open: whoever reaches the service may do everything."`
}

type healthOutput struct{ Body healthBody }

type readyOutput struct {
	Status int
	Body   health.Report
}

// RegisterHealth adds the probes and the metrics.
func RegisterHealth(a *API, service, version string, monitor *health.Monitor, metrics prometheus.Gatherer) {
	body := healthBody{Status: "ok", Service: service, Version: version, Auth: "token"}
	if a.config.Auth.IsOpen() {
		body.Auth = "open"
	}
	alive := func(context.Context, *struct{}) (*healthOutput, error) { return &healthOutput{body}, nil }
	tags := []string{"Health"}
	// These have no errors of their own: the response is spelled out so that
	// huma adds none.
	huma.Register(a.huma, huma.Operation{
		OperationID: "health", Method: http.MethodGet, Path: "/health", Tags: tags,
		Summary: "What is running", Responses: map[string]*huma.Response{},
	}, alive)
	huma.Register(a.huma, huma.Operation{
		OperationID: "health-live", Method: http.MethodGet, Path: "/health/live", Tags: tags,
		Summary: "Is the process alive? Asks no dependency.", Responses: map[string]*huma.Response{},
	}, alive)
	huma.Register(a.huma, huma.Operation{
		OperationID: "health-ready", Method: http.MethodGet, Path: "/health/ready", Tags: tags,
		Summary: "Should requests be sent here?",
		Responses: map[string]*huma.Response{
			"503": {
				Description: "Not ready: a dependency that it can't do without is away, or it is stopping.",
				Content:     map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/Report"}}},
			},
		},
	}, func(context.Context, *struct{}) (*readyOutput, error) {
		report := monitor.Report()
		out := &readyOutput{Status: http.StatusOK, Body: report}
		if report.Status == health.NotReady {
			out.Status = http.StatusServiceUnavailable
		}
		return out, nil
	})
	handler := promhttp.HandlerFor(metrics, promhttp.HandlerOpts{EnableOpenMetrics: true})
	a.engine.GET(metricsPath, gin.WrapH(handler))
	for _, path := range []string{"/health", "/health/live", "/health/ready"} {
		delete(a.OpenAPI().Paths[path].Get.Responses, "default")
	}
}
