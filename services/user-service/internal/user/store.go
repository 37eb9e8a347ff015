package user

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/page"
)

// Store keeps users.
type Store interface {
	// Get returns the user, or ErrNotFound.
	Get(ctx context.Context, id uuid.UUID) (User, error)
	// GetByEmail returns the user with the key of an address, or ErrNotFound.
	GetByEmail(ctx context.Context, key string) (User, error)
	// List returns a page of the users, by id.
	List(ctx context.Context, r page.Request) (page.Page[User], error)
	// ListByTime returns a page of the users that were created after an instant, by the
	// time of their creation.
	ListByTime(ctx context.Context, after time.Time, r page.Request) (page.Page[User], error)
	// Update stores u in place of the version before it (u.Version - 1). It
	// returns ErrStale when there is no such version any more, and
	// ErrEmailTaken.
	Update(ctx context.Context, u User) error
	// Delete deletes that version of the user, and erases the records of requests
	// whose answers were about it, both or neither. It returns ErrStale when there is
	// no such version any more.
	Delete(ctx context.Context, id uuid.UUID, version int64) error
}
