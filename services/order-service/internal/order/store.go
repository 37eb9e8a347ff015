package order

import (
	"context"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/page"
)

// Store keeps orders.
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
