// Package requestid carries the id of a request in a context, so that log lines, problems
// and outgoing calls have the same id.
package requestid

import "context"

// Header is the HTTP header of the request id, in net/http's canonical form: another
// spelling would be converted each time.
const Header = "X-Request-Id"

// Key is the context key of the id, a *string.
type Key struct{}

// With returns a context with the id.
func With(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, Key{}, &id)
}

// From returns the request id in ctx, or "".
func From(ctx context.Context) string {
	id, ok := ctx.Value(Key{}).(*string)
	if !ok {
		return ""
	}
	return *id
}
