package user

import (
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/text"
)

const (
	// MaxName is the maximum length of a name, in characters.
	MaxName = 100
	// MaxAge is the maximum age, in years.
	MaxAge = 150
)

// newID returns the id for a user created by a caller: its own id, a new one if the caller
// may create any user, or ErrNobody.
func newID(reach access.Reach) (uuid.UUID, error) {
	owner := reach.Owner()
	switch {
	case owner == nil:
		return ids.New()
	case !reach.Includes(*owner):
		return uuid.Nil, ErrNobody
	}
	return *owner, nil
}

// apply validates p and applies it to u. Its error is invalid.Fields, with all problems.
// Texts that equal those of a stored user are not checked: an earlier release may have
// accepted what this one rejects, and a client may send back what it read.
func apply(u *User, p Patch) error {
	var problems invalid.Fields
	stored := u.Version > 0
	if p.Name != nil && !(stored && *p.Name == u.Name) {
		name, err := text.Line(*p.Name, MaxName)
		problems.Check("name", err)
		u.Name = name
	}
	if p.Email != nil && !(stored && *p.Email == u.Email.String()) {
		email, err := ParseEmail(*p.Email)
		problems.Check("email", err)
		u.Email = email
	}
	if p.SetAge {
		if p.Age != nil && (*p.Age < 0 || *p.Age > MaxAge) {
			problems.Add("age", "must be 0 to 150")
		}
		u.Age = p.Age
	}
	return problems.Err()
}

func same(a, b User) bool {
	sameAge := a.Age == b.Age || a.Age != nil && b.Age != nil && *a.Age == *b.Age
	return a.Name == b.Name && a.Email == b.Email && sameAge
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
