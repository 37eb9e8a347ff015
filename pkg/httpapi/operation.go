package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/example/microservices/pkg/ratelimit"
)

// operation is an operation as it was registered: all that can be known of it before a
// request comes.
type operation struct {
	method, route string
	rule          Rule
	policy        *ratelimit.Policy // nil: any number of requests
	reads         bool
	// maxBody is the size of the largest body, in bytes; 0 where there is none.
	maxBody int64
	// status is that of a success.
	status     int
	parameters []parameter
	// run reads the input of a request whose body is given, calls the handler, and has
	// its answer held. Its error is what the handler returned, or a *Problem.
	run func(x *exchange, body []byte) error
}

// Answer is what a handler returns: Resource, Created, Listed or Nothing.
type Answer interface {
	// write puts the answer where it is held.
	write(x *exchange, status int) error
}

// Register adds an operation: a route, who may use it, what the document says of it, and
// what it does.
//
// Input is a struct whose fields are parameters (tagged path, query or header; see
// Param) and, called Body, a Body. The handler's error may be a *Problem, the errors of a
// domain that the API's service maps to one, invalid.Fields, or any other error, which
// becomes a 500. op.Errors lists the statuses beyond success that it can have; 401, 403,
// 429, 422 (for a path or a body), 500, 503 and, for a body, 400, 408, 413 and 415 are
// added. Register panics where the rule has no scope, or a list no bound of its memory.
func Register[Input any, Output Answer](a *API, op huma.Operation, rule Rule, handler func(context.Context, *Input) (Output, error)) {
	rule.check(op.OperationID)
	status := http.StatusOK
	switch any(*new(Output)).(type) {
	case Nothing:
		status = http.StatusNoContent
	case interface{ isList() }:
		if rule.memory == 0 {
			panic("httpapi: the rule of " + op.OperationID + " must have Memory: its answer is a list, and may be large")
		}
	}
	rule.protect(&op)
	rule.deprecate(&op)
	o := &operation{
		method: op.Method, route: ginPath.Replace(op.Path), rule: rule, policy: a.policy(op.Method),
		reads: op.Method == http.MethodGet, status: cmp.Or(op.DefaultStatus, status),
	}
	op.Errors = append(op.Errors, http.StatusServiceUnavailable)
	if takesBody(op.Method) {
		o.maxBody = cmp.Or(rule.maxBody, MaxBodyBytes)
		op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	var bodyField []int
	o.parameters, bodyField = inputOf(reflect.TypeFor[Input]())
	o.run = func(x *exchange, sent []byte) error {
		var input Input
		v := reflect.ValueOf(&input).Elem()
		details := readParameters(o.parameters, v, x)
		if bodyField != nil {
			body, _ := v.FieldByIndex(bodyField).Addr().Interface().(body)
			var err error
			details, err = decode(body, sent, details)
			if err != nil {
				return err
			}
		}
		if len(details) > 0 {
			return NewProblem(http.StatusUnprocessableEntity, validationFailed, details...)
		}
		output, err := handler(&x.ctx, &input)
		if err != nil {
			return err
		}
		return output.write(x, o.status)
	}
	// huma describes the operation. It never sees a request.
	huma.Register(a.huma, op, func(context.Context, *Input) (*Output, error) { panic("httpapi: huma serves nothing") })
	a.operations[o.route] = true
	a.metrics.of(op.Method, o.route).expect(o.status)
	a.engine.Handle(op.Method, o.route, func(g *gin.Context) { a.admit(o, exchangeOf(g)) })
}

// describing is huma's adapter for an API of which it writes the document only.
type describing struct{}

// Handle is part of huma.Adapter.
func (describing) Handle(*huma.Operation, func(huma.Context)) {}

// ServeHTTP is part of huma.Adapter.
func (describing) ServeHTTP(http.ResponseWriter, *http.Request) {}

// description is how huma writes the document.
func description(c Config) huma.API {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	format := huma.Format{Unmarshal: json.Unmarshal} // of the examples in tags
	return huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI:        "3.1.0",
			Info:           &huma.Info{Title: c.Title, Description: c.Description, Version: c.Version, License: &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"}},
			Servers:        []*huma.Server{{URL: "/", Description: "Where this document is from."}},
			Components:     &huma.Components{Schemas: schemas, SecuritySchemes: securitySchemes, Headers: map[string]*huma.Header{}},
			OnAddOperation: []huma.AddOpFunc{describePrefer, describe},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
	}, describing{})
}

// ginPath makes Gin's template of a path of OpenAPI's.
var ginPath = strings.NewReplacer("{", ":", "}", "")

func takesBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}
