// Package user provides the domain model of users: validation, permissions and email
// addresses. Storage is an interface, Store.
package user

import (
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/page"
)

// User is a user of the shop.
type User struct {
	ID    uuid.UUID
	Name  string
	Email Email
	// Age is in years; nil if unknown.
	Age *int
	// Version starts at 1 and increases with each change.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Filter selects users. A nil field matches all.
type Filter struct {
	// Email is compared by Email.Key.
	Email   *Email
	Created page.Period
}

func (f Filter) includes(u User) bool {
	return (f.Email == nil || f.Email.Key() == u.Email.Key()) && f.Created.Includes(u.CreatedAt)
}
