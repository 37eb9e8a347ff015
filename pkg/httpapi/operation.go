package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/example/microservices/pkg/ratelimit"
)

// operation is a registered operation, with all that is computed before a request
// arrives.
type operation struct {
	method, route string
	rule          Rule
	policy        *ratelimit.Policy // nil: unlimited
	reads         bool
	// maxBody is the maximum size of a body, in bytes; 0 if the operation takes none.
	maxBody int64
	// status is the status of a success.
	status     int
	parameters []parameter
	// unversioned: the operation has no Conditions.
	unversioned bool
	// run parses the input of a request, calls the handler and writes its answer to the
	// buffer. It returns the handler's error, or a *Problem for invalid input.
	run func(x *exchange, body []byte) error
}

// Answer is what a handler returns: Resource, Unversioned, Created, Listed, Batch or
// Nothing.
type Answer interface {
	// write writes the answer to the exchange.
	write(x *exchange, status int) error
}

// Register adds an operation: its route, its rule, its entry in the document, and its
// handler.
//
// Input is a struct. Its fields with a path, query or header tag are parameters (see
// Param); a field called Body, of type Body, is the body. The handler may return a
// *Problem, an error that the service maps to one, or invalid.Fields. Any other error
// becomes a 500. op.Errors lists the handler's own error statuses. Register adds 401,
// 403, 429, 500 and 503; 412 if Input has no Conditions; 422 for a path parameter or a
// body; and 400, 408, 413 and 415 for a body. It panics if the rule has no scope, or if
// the answer is a list and the rule has no Memory.
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
		op.MaxBodyBytes = o.maxBody
		op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	var bodyField []int
	o.parameters, bodyField = inputOf(reflect.TypeFor[Input]())
	o.unversioned = !slices.ContainsFunc(o.parameters, func(p parameter) bool { return p.name == "If-Match" })
	if o.unversioned {
		op.Errors = append(op.Errors, http.StatusPreconditionFailed)
	}
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
		if o.reads { // errors come before conditions (RFC 9110, section 13.2.1), and the handler has changed nothing
			if p := o.refuseConditions(x.g.Request.Header); p != nil {
				return p
			}
		}
		return output.write(x, o.status)
	}
	// huma only describes the operation. It never gets a request.
	huma.Register(a.huma, op, func(context.Context, *Input) (*Output, error) { panic("httpapi: Gin serves this operation, not huma") })
	a.operations[o.route] = true
	if o.route == op.Path {
		a.fixed[op.Path] = append(a.fixed[op.Path], op.Method)
	}
	a.metrics.of(op.Method, o.route).expect(o.status)
	a.engine.Handle(op.Method, o.route, func(g *gin.Context) { a.admit(o, exchangeOf(g)) })
}

// describing is the huma adapter of an API that only generates the document.
type describing struct{}

// Handle implements huma.Adapter.
func (describing) Handle(*huma.Operation, func(huma.Context)) {}

// ServeHTTP implements huma.Adapter.
func (describing) ServeHTTP(http.ResponseWriter, *http.Request) {}

// description returns the huma API that generates the document.
func description(c Config) huma.API {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	format := huma.Format{Unmarshal: json.Unmarshal} // parses the examples in struct tags
	return huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI:        "3.1.0",
			Info:           &huma.Info{Title: c.Title, Description: c.Description, Version: c.Version, License: &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"}},
			Servers:        []*huma.Server{{URL: "/", Description: "The server that serves this document."}},
			Components:     &huma.Components{Schemas: schemas, SecuritySchemes: securitySchemes, Headers: map[string]*huma.Header{}},
			OnAddOperation: []huma.AddOpFunc{describePrefer, describe, addExamples, allowNewMembers()},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
	}, describing{})
}

// ginPath converts an OpenAPI path template to Gin's.
var ginPath = strings.NewReplacer("{", ":", "}", "")

func takesBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}
