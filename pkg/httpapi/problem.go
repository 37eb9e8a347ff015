package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/requestid"
	"github.com/example/microservices/pkg/telemetry"
)

// statusClientClosedRequest is the status in the log and the metrics if the client left
// before the answer. It is never sent.
const statusClientClosedRequest = 499

// Problem is the body of every error (RFC 9457, application/problem+json).
type Problem struct {
	Type      string   `json:"type,omitzero" format:"uri" doc:"The type of the problem, if problems with the same status must be distinguished; omitted otherwise." example:"urn:problem-type:no-such-path"`
	Title     string   `json:"title" doc:"The name of the status." example:"Unprocessable Entity"`
	Status    int      `json:"status" minimum:"400" maximum:"599" doc:"The HTTP status code." example:"422"`
	Detail    string   `json:"detail" doc:"What went wrong, as text for people." example:"validation failed"`
	Errors    []Detail `json:"errors,omitzero" nullable:"false" doc:"What to change in the request, one entry for each place."`
	TraceID   string   `json:"trace_id,omitzero" doc:"The id of the trace of this request; omitted if tracing is off." example:"4bf92f3577b34da6a3ce929d0e0e4736"`
	RequestID string   `json:"request_id,omitzero" doc:"The id of this request in the logs, as in X-Request-Id." example:"019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d"`

	header http.Header
	cause  error
}

// Detail is one invalid part of a request.
type Detail struct {
	Location string `json:"location" doc:"The place: a field of the body, a parameter or a header." example:"body.items[1].quantity"`
	Message  string `json:"message" doc:"What is wrong there, or what is expected." example:"must be at least 1"`
}

// NewProblem returns a problem with a status and an explanation for the client.
func NewProblem(status int, detail string, errs ...Detail) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: detail, Errors: errs}
}

// Unavailable returns a 503 with Retry-After: after, rounded up to whole seconds, at
// least one (RFC 9110, section 10.2.3).
func Unavailable(detail string, after time.Duration) *Problem {
	return NewProblem(http.StatusServiceUnavailable, detail).retryAfter(after)
}

// retryAfter sets Retry-After to at least one second.
func (p *Problem) retryAfter(after time.Duration) *Problem {
	return p.with("Retry-After", strconv.Itoa(max(1, int(math.Ceil(after.Seconds())))))
}

// NotFound returns a 404 for a kind of resource, such as "user".
func NotFound(kind string) *Problem {
	return NewProblem(http.StatusNotFound, "there is no such "+kind)
}

// TypeNoSuchPath is the type of the 404 for an unknown path. The 404 for a missing
// resource has no type.
const TypeNoSuchPath = "urn:problem-type:no-such-path"

// Because sets the cause, which is logged and never sent.
func (p *Problem) Because(err error) *Problem {
	p.cause = err
	return p
}

func (p *Problem) with(name, value string) *Problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
	return p
}

// identify sets the request id and the trace id.
func (p *Problem) identify(ctx context.Context) {
	p.RequestID, p.TraceID = requestid.From(ctx), telemetry.TraceID(ctx)
}

// send sends the problem as the answer to a request.
func (p *Problem) send(ctx context.Context, w http.ResponseWriter) error {
	for name, values := range p.header {
		w.Header()[name] = append(w.Header()[name], values...) // of RateLimit, each policy has a line
	}
	if p.Status == http.StatusNotModified {
		w.WriteHeader(p.Status)
		return nil
	}
	p.identify(ctx)
	b, err := json.Marshal(p)
	if err != nil { // without an answer, net/http would send 200
		w.WriteHeader(http.StatusInternalServerError)
		return fmt.Errorf("render a problem: %w", err)
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_, err = w.Write(b)
	return err
}

// reason returns one line for the log: what was invalid and where, without any value from
// the request.
func (p *Problem) reason() string {
	reason := p.Detail
	for i, d := range p.Errors {
		reason += [2]string{": ", "; "}[min(i, 1)] + d.Location + " " + d.Message
	}
	return reason
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus returns the HTTP status code.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType returns the media type of a problem.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// huma keeps the constructor of its errors, from which it documents their schema, in a
// package variable. Only this function sets it.
func init() {
	huma.NewError = func(status int, message string, _ ...error) huma.StatusError { return NewProblem(status, message) }
}

// problem converts the error of an operation to a problem. Errors become HTTP nowhere
// else. An unknown error is logged, and becomes a 500 without details.
func (a *API) problem(ctx context.Context, err error) *Problem {
	p := a.classify(ctx, err)
	if p == nil {
		a.log.ErrorContext(ctx, "request failed", slog.Any("error", err))
		p = internalError()
	}
	return p
}

func internalError() *Problem {
	return NewProblem(http.StatusInternalServerError, "something went wrong here; it has been logged")
}

func keyGone() *Problem {
	return NewProblem(http.StatusGone, "the resource created with this Idempotency-Key was deleted; use a new key to create another")
}

func databaseUnavailable() *Problem {
	return Unavailable("the database is unavailable; try again later", time.Second)
}

func (a *API) classify(ctx context.Context, err error) *Problem {
	var (
		p      *Problem
		fields invalid.Fields
	)
	switch {
	case errors.As(err, &p):
		if p.cause != nil {
			a.log.WarnContext(ctx, "request failed", slog.Any("error", p.cause))
		}
		copied := *p
		return &copied
	case errors.As(err, &fields):
		return NewProblem(http.StatusUnprocessableEntity, validationFailed, bodyDetails(fields)...)
	case errors.Is(err, idempotency.ErrGone):
		return keyGone()
	case errors.Is(err, idempotency.ErrInFlight):
		return NewProblem(http.StatusConflict, err.Error()).with("Retry-After", "1")
	case errors.Is(err, idempotency.ErrMismatch):
		return NewProblem(http.StatusUnprocessableEntity, validationFailed, Detail{Location: "header.Idempotency-Key", Message: "was used with another body; use a new key for a new request"})
	case errors.Is(ctx.Err(), context.Canceled):
		// Whatever err is, this is its cause.
		return NewProblem(statusClientClosedRequest, "the client closed the request")
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		a.log.WarnContext(ctx, "request timed out", slog.Any("error", err))
		return Unavailable("the request timed out", time.Second)
	case errors.Is(err, database.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		a.log.WarnContext(ctx, "database unavailable", slog.Any("error", err))
		return databaseUnavailable()
	}
	return nil
}

const validationFailed = "validation failed"

func bodyDetails(fields invalid.Fields) []Detail {
	details := make([]Detail, len(fields))
	for i, f := range fields {
		details[i] = Detail{Location: bodyLocation(f.Path), Message: f.Message}
	}
	return details
}

func bodyLocation(path string) string {
	if path == "" || path[0] == '[' {
		return "body" + path
	}
	return "body." + path
}
