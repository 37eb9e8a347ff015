package order

import (
	"context"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/page"
)

// Store keeps orders. None is added for a user who was deleted: that is ErrUserUnknown.
type Store interface {
	// Get returns the order, or ErrNotFound.
	Get(ctx context.Context, id uuid.UUID) (Order, error)
	// List returns a page of the orders that f lets through, newest first.
	List(ctx context.Context, f Filter, r page.Request) (page.Page[Order], error)
	// Update stores o in place of the version before it (o.Version - 1). It
	// returns ErrStale when there is no such version any more.
	Update(ctx context.Context, o Order) error
	// Delete deletes that version of the order, and erases the records of requests
	// whose answers were about it, both or neither. It returns ErrStale when there is
	// no such version any more.
	Delete(ctx context.Context, id uuid.UUID, version int64) error
}

const (
	// ErasedAddress is what a store keeps in place of an address that was erased: what it
	// keeps can't be empty, as an earlier version must be able to read it.
	ErasedAddress = "-"
	// EraseBatch is how many orders are erased in one transaction.
	EraseBatch = 500
)
