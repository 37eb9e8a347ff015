package auth

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/ids"
)

// Admin is the scope that includes all others, and access to everyone's resources.
const Admin = "admin"

// Caller is the sender of a request. The zero value is nobody, who may do nothing.
type Caller struct {
	issuer, subject string
	user            uuid.UUID
	scopes          []string
	// anyone: the service requires no token.
	anyone bool
}

// Anyone returns the caller of a service that requires no token. It may do everything.
func Anyone() Caller { return Caller{anyone: true} }

// IsAnyone reports whether the service requires no token.
func (c Caller) IsAnyone() bool { return c.anyone }

func newCaller(issuer, subject string, scopes []string) Caller {
	c := Caller{issuer: issuer, subject: subject, scopes: scopes}
	user, err := ids.Parse(subject)
	// The Nil and Max UUIDs (RFC 9562, sections 5.9 and 5.10) mean no user and the end of a
	// list: no row may have them.
	if err == nil && user != ids.Max {
		c.user = user
	}
	return c
}

// Has reports whether the caller has one of the scopes, or Admin.
func (c Caller) Has(scopes ...string) bool {
	if c.anyone {
		return true
	}
	return slices.ContainsFunc(c.scopes, func(s string) bool { return s == Admin || slices.Contains(scopes, s) })
}

// Granted reports whether the caller has exactly this scope: Admin doesn't include it
// here. Nobody has "".
func (c Caller) Granted(scope string) bool { return scope != "" && slices.Contains(c.scopes, scope) }

// Admin reports whether the caller may access everyone's resources.
func (c Caller) Admin() bool { return c.Has() }

// User returns the caller's user id: the subject of its token. It is uuid.Nil if the
// subject is no UUID, or the Nil or Max UUID.
func (c Caller) User() uuid.UUID { return c.user }

// Subject returns the subject of the caller's token. It is "" for Anyone and for nobody.
func (c Caller) Subject() string { return c.subject }

// Reach returns whose resources the caller may access: its own, or everyone's with Admin
// or one of the scopes.
func (c Caller) Reach(scopes ...string) access.Reach {
	if c.Has(scopes...) {
		return access.All()
	}
	return access.Own(c.user)
}

// Key identifies the caller. It is "" for Anyone and for nobody.
func (c Caller) Key() string {
	if c.anyone || c.issuer == "" {
		return ""
	}
	subject := c.subject
	if c.user != uuid.Nil {
		subject = c.user.String() // one caller, in whatever case its token has the id
	}
	return c.issuer + " " + subject // unambiguous: a URL has no space
}

// Key is the context key of the caller, a *Caller.
type Key struct{}

// With returns a context with a caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, Key{}, &c)
}

// From returns the caller in a context, or nobody.
func From(ctx context.Context) Caller {
	c, ok := ctx.Value(Key{}).(*Caller)
	if !ok {
		return Caller{}
	}
	return *c
}
