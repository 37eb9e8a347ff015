package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/example/microservices/pkg/auth"
)

// Rule says who may use an operation, and with which limits. The handler checks which
// resources a caller may access (auth.Caller.Reach).
type Rule struct {
	scopes []string
	// unlimited is the scope of callers that are exempt from the limit of requests.
	unlimited string
	// memory is the memory needed to render an answer, and maxBody the maximum size of a
	// body, both in bytes.
	memory, maxBody int64
	// waits is how long the handler may wait; 0: it doesn't.
	waits time.Duration
	// deprecated is when the operation was deprecated, and sunset when it is removed. Zero
	// means not, or not known.
	deprecated, sunset time.Time
}

// Needs returns the rule that a caller must have one of the scopes, or auth.Admin.
func Needs(scopes ...string) Rule { return Rule{scopes: scopes} }

// Unlimited exempts callers with the scope from the limit of requests, but not from that of
// bytes. It is meant for services, which act on behalf of many users and limit those.
func (r Rule) Unlimited(scope string) Rule {
	r.unlimited = scope
	return r
}

// Memory sets the memory needed to render an answer, in bytes. Set it if an answer can
// exceed some KiB.
func (r Rule) Memory(bytes int64) Rule {
	r.memory = bytes
	return r
}

// MaxBody sets the maximum size of a body, in bytes, instead of MaxBodyBytes.
func (r Rule) MaxBody(bytes int64) Rule {
	r.maxBody = bytes
	return r
}

// Waits sets how long the handler may Wait, in addition to Config.RequestTimeout. Such an
// operation takes no concurrency slot, so its other work must be small, and the handler
// must limit how many requests wait.
func (r Rule) Waits(d time.Duration) Rule {
	r.waits = d
	return r
}

// Deprecated marks the operation as deprecated since a day, and removed on another; a
// zero sunset means that the day isn't known. Every answer says so (RFC 9745, RFC 8594),
// and so does the OpenAPI document.
func (r Rule) Deprecated(since, sunset time.Time) Rule {
	r.deprecated, r.sunset = since, sunset
	return r
}

// sunsetExtension is the extension of the OpenAPI document from which oasdiff reads the
// sunset date.
const sunsetExtension = "x-sunset"

// deprecate marks the operation as deprecated in the document.
func (r Rule) deprecate(op *huma.Operation) {
	if r.deprecated.IsZero() {
		return
	}
	op.Deprecated = true
	if !r.sunset.IsZero() {
		op.Extensions = map[string]any{sunsetExtension: r.sunset.UTC().Format(time.DateOnly)}
	}
}

// sayDeprecated adds the headers Deprecation and Sunset to an answer.
func (r Rule) sayDeprecated(header http.Header) {
	if r.deprecated.IsZero() {
		return
	}
	header.Set("Deprecation", "@"+strconv.FormatInt(r.deprecated.Unix(), 10))
	if !r.sunset.IsZero() {
		header.Set("Sunset", r.sunset.UTC().Format(http.TimeFormat))
	}
}

// securityScheme is the name of the token scheme in the OpenAPI document.
const securityScheme = "token"

var securitySchemes = map[string]*huma.SecurityScheme{
	securityScheme: {
		Type: "http", Scheme: "bearer", BearerFormat: "JWT",
		Description: "An access token (RFC 9068). Not required if the service is open (see auth in /health).",
	},
}

// check panics on an invalid rule, which is a programming error.
func (r Rule) check(operation string) {
	if len(r.scopes) == 0 {
		panic("httpapi: the rule has no scopes for " + operation)
	}
	if !r.sunset.IsZero() && r.sunset.Before(r.deprecated) {
		panic("httpapi: " + operation + " has a sunset before its deprecation (RFC 9745, section 4)")
	}
}

// protect adds the rule's errors and scopes to the document.
func (r Rule) protect(op *huma.Operation) {
	op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests)
	for _, scope := range append(r.scopes[:len(r.scopes):len(r.scopes)], auth.Admin) {
		op.Security = append(op.Security, map[string][]string{securityScheme: {scope}})
	}
}

// authProblem converts an error of auth to a problem (RFC 6750, section 3.1).
func (a *API) authProblem(ctx context.Context, err error) *Problem {
	var wrong *auth.InvalidError
	var unavailable *auth.UnavailableError
	switch {
	case errors.As(err, &wrong) && wrong.Missing:
		return NewProblem(http.StatusUnauthorized, wrong.Description).with("WWW-Authenticate", "Bearer")
	case errors.As(err, &wrong):
		return NewProblem(http.StatusUnauthorized, wrong.Description).
			with("WWW-Authenticate", fmt.Sprintf(`Bearer error="invalid_token", error_description="%s"`, wrong.Description))
	case ctx.Err() != nil:
		return a.classify(ctx, err) // the client left, or the deadline passed, while it waited for keys
	case errors.As(err, &unavailable) && unavailable.TooSoon:
		// Not a failure of the service: anybody can make up a key id.
		return NewProblem(http.StatusTooManyRequests, "the token's key is not known yet; try again").
			retryAfter(unavailable.RetryAfter)
	case errors.As(err, &unavailable):
		return Unavailable("the token can't be checked right now", unavailable.RetryAfter)
	}
	return Unavailable("the token can't be checked right now", 0)
}

// Forbidden returns the 403 of a caller whose token has none of the scopes.
func Forbidden(scopes ...string) *Problem {
	detail := "the token lacks the scope " + strings.Join(scopes, " or ")
	return NewProblem(http.StatusForbidden, detail).
		with("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", error_description="%s", scope="%s"`, detail, scopes[0]))
}
