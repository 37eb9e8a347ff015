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

// Rule says who may use an operation, and how much. Whose resources it then
// reaches is the operation's to ask (auth.Caller.Reach).
type Rule struct {
	scopes []string
	// unlimited is the scope of callers that no rate limit holds.
	unlimited string
	// memory is what making an answer may take, and maxBody the size of the largest
	// body; in bytes.
	memory, maxBody int64
	// waits is how long the handler may wait for something to happen; 0: it works at once.
	waits time.Duration
	// deprecated is since when the operation is deprecated, sunset when it goes away;
	// zero is not.
	deprecated, sunset time.Time
}

// Needs is the rule that a caller has one of the scopes. auth.Admin always will
// do.
func Needs(scopes ...string) Rule { return Rule{scopes: scopes} }

// Unlimited is the rule with a scope whose callers no rate limit holds: services,
// which ask on behalf of many and limit those.
func (r Rule) Unlimited(scope string) Rule {
	r.unlimited = scope
	return r
}

// Memory is the rule with how much memory making an answer may take, in bytes, where
// that is worth counting: where an answer may have more than some KiB.
func (r Rule) Memory(bytes int64) Rule {
	r.memory = bytes
	return r
}

// MaxBody is the rule with the size of the largest body, in bytes, where that isn't
// MaxBodyBytes.
func (r Rule) MaxBody(bytes int64) Rule {
	r.maxBody = bytes
	return r
}

// Waits is the rule of an operation whose handler may wait for something to happen (see
// Wait), beyond the time in which others are answered. It takes no turn: what it does
// besides must be little, and the handler bounds how many wait.
func (r Rule) Waits(d time.Duration) Rule {
	r.waits = d
	return r
}

// Deprecated is the rule of an operation that is not to be used any more, since a day,
// and that goes away on another; zero: it isn't known when. Every answer says so (RFC
// 9745, RFC 8594), and so does the document.
func (r Rule) Deprecated(since, sunset time.Time) Rule {
	r.deprecated, r.sunset = since, sunset
	return r
}

// sunsetExtension is where the document has the day on which an operation goes away,
// as oasdiff reads it.
const sunsetExtension = "x-sunset"

// deprecate adds to the document that an operation is deprecated.
func (r Rule) deprecate(op *huma.Operation) {
	if r.deprecated.IsZero() {
		return
	}
	op.Deprecated = true
	if !r.sunset.IsZero() {
		op.Extensions = map[string]any{sunsetExtension: r.sunset.UTC().Format(time.DateOnly)}
	}
}

// sayDeprecated adds to an answer that its operation is deprecated.
func (r Rule) sayDeprecated(header http.Header) {
	if r.deprecated.IsZero() {
		return
	}
	header.Set("Deprecation", "@"+strconv.FormatInt(r.deprecated.Unix(), 10))
	if !r.sunset.IsZero() {
		header.Set("Sunset", r.sunset.UTC().Format(http.TimeFormat))
	}
}

// securityScheme is what the OpenAPI document calls the tokens.
const securityScheme = "token"

var securitySchemes = map[string]*huma.SecurityScheme{
	securityScheme: {
		Type: "http", Scheme: "bearer", BearerFormat: "JWT",
		Description: "An access token (RFC 9068). Where the service is open (see /health) none is needed.",
	},
}

// check panics on a rule that can't be: a mistake in the program, which is not to start.
func (r Rule) check(operation string) {
	if len(r.scopes) == 0 {
		panic("httpapi: no rule says who may use " + operation)
	}
	if !r.sunset.IsZero() && r.sunset.Before(r.deprecated) {
		panic("httpapi: " + operation + " goes away before it is deprecated (RFC 9745, section 4)")
	}
}

// protect adds the rule to what the document says of an operation.
func (r Rule) protect(op *huma.Operation) {
	op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests)
	for _, scope := range append(r.scopes[:len(r.scopes):len(r.scopes)], auth.Admin) {
		op.Security = append(op.Security, map[string][]string{securityScheme: {scope}})
	}
}

// authProblem says what the errors of auth are in HTTP (RFC 6750, section 3.1).
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
		return a.classify(ctx, err) // it left, or its time was over, while it waited for keys
	case errors.As(err, &unavailable) && unavailable.TooSoon:
		// Not the service's failure: anybody can make up a key's id.
		return NewProblem(http.StatusTooManyRequests, "the token's key was not among its issuer's a moment ago; try again").
			retryAfter(unavailable.RetryAfter)
	case errors.As(err, &unavailable):
		return Unavailable("the token can't be checked right now", unavailable.RetryAfter)
	}
	return Unavailable("the token can't be checked right now", 0)
}

// Forbidden is the 403 of a caller whose token lacks a scope: one of these.
func Forbidden(scopes ...string) *Problem {
	detail := "the token lacks the scope " + strings.Join(scopes, " or ")
	return NewProblem(http.StatusForbidden, detail).
		with("WWW-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", error_description="%s", scope="%s"`, detail, scopes[0]))
}
