// Package access says whose resources a request may see and change.
package access

import "github.com/google/uuid"

// Reach is the users whose resources a request may see and change: everyone's,
// or one user's. The zero value is nobody's.
type Reach struct {
	all   bool
	owner uuid.UUID
}

// All is everyone's.
func All() Reach { return Reach{all: true} }

// Own is one user's. uuid.Nil is nobody.
func Own(user uuid.UUID) Reach { return Reach{owner: user} }

// Includes reports whether what belongs to a user is within reach. What isn't
// is to look as if it didn't exist.
func (r Reach) Includes(user uuid.UUID) bool {
	return r.all || r.owner != uuid.Nil && r.owner == user
}

// Owner returns the only user whose resources are within reach, to be filtered
// by. It is nil when everyone's are.
func (r Reach) Owner() *uuid.UUID {
	if r.all {
		return nil
	}
	owner := r.owner
	return &owner
}
