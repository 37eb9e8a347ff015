// Package requestid carries the id of the request being served through a
// context, so that log lines, problem documents and outgoing calls name the
// same request.
package requestid

import "context"

// Header is the HTTP header that carries a request id between services, spelled as
// net/http keeps it: another spelling is converted each time.
const Header = "X-Request-Id"

// Key is under which a context has the id, as a *string.
type Key struct{}

// With returns a context that carries id.
func With(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, Key{}, &id)
}

// From returns the request id that ctx carries, or "" when it carries none.
func From(ctx context.Context) string {
	id, ok := ctx.Value(Key{}).(*string)
	if !ok {
		return ""
	}
	return *id
}
