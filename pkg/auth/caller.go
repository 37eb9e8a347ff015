package auth

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/ids"
)

// Admin is the scope that stands for all others, and for everyone's resources.
const Admin = "admin"

// Caller is whoever sends a request. The zero value is nobody, who may do
// nothing.
type Caller struct {
	issuer, subject string
	user            uuid.UUID
	scopes          []string
	// anyone is the caller of a service that needs no token.
	anyone bool
}

// Anyone is the caller of a service that needs no token, who may do everything.
func Anyone() Caller { return Caller{anyone: true} }

// IsAnyone reports whether the caller is that of a service that needs no token.
func (c Caller) IsAnyone() bool { return c.anyone }

func newCaller(issuer, subject string, scopes []string) Caller {
	c := Caller{issuer: issuer, subject: subject, scopes: scopes}
	user, err := ids.Parse(subject)
	// Nil and Max (RFC 9562, sections 5.9 and 5.10) stand for no id and for the end
	// of all: nobody's row may have them.
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

// Granted reports whether the caller has a scope itself: Admin doesn't stand for it
// here. Nobody is granted "".
func (c Caller) Granted(scope string) bool { return scope != "" && slices.Contains(c.scopes, scope) }

// Admin reports whether everyone's resources are the caller's to see and change.
func (c Caller) Admin() bool { return c.Has() }

// User returns the id of the user that the caller is: the subject of its token.
// It is uuid.Nil, which is nobody's, when the subject is no UUID, or the Nil or the
// Max UUID.
func (c Caller) User() uuid.UUID { return c.user }

// Reach returns whose resources the caller may see and change: its own, or with
// the scope Admin or one of those given, everyone's.
func (c Caller) Reach(scopes ...string) access.Reach {
	if c.Has(scopes...) {
		return access.All()
	}
	return access.Own(c.user)
}

// Key tells callers apart. It is "" for Anyone, and for nobody.
func (c Caller) Key() string {
	if c.anyone || c.issuer == "" {
		return ""
	}
	return c.issuer + " " + c.subject // no URL has a space
}

// Key is under which a context has the caller, as a *Caller.
type Key struct{}

// With returns a context of the requests of a caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, Key{}, &c)
}

// From returns the caller of a request: nobody where none was put.
func From(ctx context.Context) Caller {
	c, ok := ctx.Value(Key{}).(*Caller)
	if !ok {
		return Caller{}
	}
	return *c
}
