package httpapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
)

type thing struct {
	Name string `json:"name" doc:"What it is called."`
}

func Example() {
	a := httpapi.New(httpapi.Config{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.Open()})
	type input struct {
		Name string `path:"name" doc:"The thing's name."`
	}
	httpapi.Register(a, huma.Operation{OperationID: "get-thing", Method: http.MethodGet, Path: "/things/{name}"}, httpapi.Needs("things:read"),
		func(_ context.Context, in *input) (httpapi.Resource[thing], error) {
			return httpapi.NewResource(7, thing{Name: in.Name}), nil
		})
	answer := httptest.NewRecorder()
	a.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/things/lamp", nil))
	fmt.Println(answer.Code, answer.Header().Get("ETag"), answer.Body)
	// Output: 200 "7" {"name":"lamp"}
}
