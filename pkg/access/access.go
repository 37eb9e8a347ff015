// Package access says whose resources a request may access.
package access

import "github.com/google/uuid"

// Reach is the set of users whose resources a request may access: all, one, or, as the
// zero value, none.
type Reach struct {
	all   bool
	owner uuid.UUID
}

// All returns everyone's.
func All() Reach { return Reach{all: true} }

// Own returns one user's. uuid.Nil means none.
func Own(user uuid.UUID) Reach { return Reach{owner: user} }

// Includes reports whether a user's resources are within reach. Treat others as if they
// didn't exist.
func (r Reach) Includes(user uuid.UUID) bool {
	return r.all || r.owner != uuid.Nil && r.owner == user
}

// Owner returns the only user within reach, to filter by, or nil if all users are.
func (r Reach) Owner() *uuid.UUID {
	if r.all {
		return nil
	}
	owner := r.owner
	return &owner
}
