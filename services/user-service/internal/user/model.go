// Package user is what a user is, and the rules that hold for one.
package user

import (
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/page"
)

// User is someone known to the service.
type User struct {
	ID    uuid.UUID
	Name  string
	Email Email
	// Age is in years, nil when it is not known.
	Age *int
	// Version counts the changes, from 1.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Filter chooses users. A field that is nil lets all through.
type Filter struct {
	// Email is compared by its key.
	Email   *Email
	Created page.Period
}

func (f Filter) includes(u User) bool {
	return (f.Email == nil || f.Email.Key() == u.Email.Key()) && f.Created.Includes(u.CreatedAt)
}
