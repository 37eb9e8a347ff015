package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/idempotency"
)

// addExamples gives every error of an operation in the document an example with its own
// status. The schema's example has one status for all.
func addExamples(document *huma.OpenAPI, op *huma.Operation) {
	for code, response := range op.Responses {
		content := response.Content[new(Problem).ContentType("")]
		status, err := strconv.Atoi(code)
		if content != nil && err == nil {
			content.Example = exampleProblem(document, op, status)
		}
	}
}

// exampleProblem returns one of the problems that an operation sends with a status.
func exampleProblem(document *huma.OpenAPI, op *huma.Operation, status int) *Problem {
	creates := op.Method == http.MethodPost
	versioned := slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.Name == "If-Match" })
	switch {
	case status == http.StatusBadRequest:
		return emptyBody()
	case status == http.StatusUnauthorized:
		return NewProblem(status, auth.MissingToken)
	case status == http.StatusForbidden && len(op.Security) > 0:
		return Forbidden(op.Security[0][securityScheme]...)
	case status == http.StatusNotFound:
		return NotFound("resource")
	case status == http.StatusRequestTimeout:
		return lateBody()
	case status == http.StatusConflict && creates:
		return NewProblem(status, idempotency.ErrInFlight.Error())
	case status == http.StatusConflict:
		return NewProblem(status, "the state of the resource does not permit this")
	case status == http.StatusGone && creates:
		return keyGone()
	case status == http.StatusGone:
		return NewProblem(status, "the cursor's event no longer exists")
	case status == http.StatusPreconditionFailed && versioned:
		return changedSince(ETag(2))
	case status == http.StatusPreconditionFailed:
		return withoutETag()
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge(op.MaxBodyBytes)
	case status == http.StatusUnsupportedMediaType:
		return notJSON()
	case status == http.StatusUnprocessableEntity:
		return NewProblem(status, validationFailed, exampleDetail(document, op))
	case status == http.StatusTooManyRequests:
		return TooMany(time.Second)
	case status == http.StatusInternalServerError:
		return internalError()
	case status == http.StatusServiceUnavailable:
		return databaseUnavailable()
	}
	return NewProblem(status, strings.ToLower(http.StatusText(status)))
}

// exampleDetail returns an invalid part of a request to an operation: a missing member of
// the body, an id that is none, or else an unknown parameter.
func exampleDetail(document *huma.OpenAPI, op *huma.Operation) Detail {
	if op.RequestBody != nil {
		schema := op.RequestBody.Content["application/json"].Schema
		if schema.Ref != "" {
			schema = document.Components.Schemas.SchemaFromRef(schema.Ref)
		}
		if len(schema.Required) > 0 {
			return Detail{Location: bodyLocation(schema.Required[0]), Message: "is required"}
		}
	}
	for _, p := range op.Parameters {
		if p.In == "path" && p.Schema.Format == "uuid" {
			return Detail{Location: "path." + p.Name, Message: "must be a UUID of 36 characters, such as 01920000-0000-7000-8000-000000000000"}
		}
	}
	return Detail{Location: "query.page", Message: "is not a known parameter"}
}

// BodyExample returns a request body with an example, for an operation whose body has
// members that Swagger UI must not fill in, such as read-only ones.
func BodyExample(example any) *huma.RequestBody {
	return &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Example: example}}}
}
