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
	// MaxName is the length of the longest name, in characters.
	MaxName = 100
	// MaxAge is the highest age, in years.
	MaxAge = 150
)

// newID returns the id of a user that is created within reach.
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

// apply changes u. Its error is invalid.Fields, with everything that is wrong. A text of
// a user that is there and stays as it is isn't judged: an earlier version may have taken
// what this one refuses, and what was read may be sent back.
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
