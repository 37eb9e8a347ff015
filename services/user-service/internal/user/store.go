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
	// GetByEmail returns the user whose address has this Email.Key, or ErrNotFound.
	GetByEmail(ctx context.Context, key string) (User, error)
	// Existing returns those of the ids that users have, in any order.
	Existing(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error)
	// List returns a page of users, sorted by id, descending.
	List(ctx context.Context, r page.Request) (page.Page[User], error)
	// ListByTime returns a page of the users created after an instant, newest first.
	ListByTime(ctx context.Context, after time.Time, r page.Request) (page.Page[User], error)
	// Update replaces version u.Version - 1 of the user with u. It returns ErrStale if the
	// stored user has another version, or none, and ErrEmailTaken.
	Update(ctx context.Context, u User) error
	// Delete deletes the user and erases the idempotency records about it, in one
	// transaction. It returns ErrStale if the stored user has another version, or none.
	Delete(ctx context.Context, id uuid.UUID, version int64) error
}
