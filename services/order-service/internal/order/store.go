package order

import (
	"context"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/page"
)

// Store keeps orders. Adding one for a deleted user returns ErrUserUnknown.
type Store interface {
	// Get returns the order, or ErrNotFound.
	Get(ctx context.Context, id uuid.UUID) (Order, error)
	// List returns a page of the orders that match f, newest first.
	List(ctx context.Context, f Filter, r page.Request) (page.Page[Order], error)
	// Update replaces version o.Version - 1 of the order with o. It returns ErrStale if the
	// stored order has another version, or none.
	Update(ctx context.Context, o Order) error
	// Delete deletes the order and erases the idempotency records about it, in one
	// transaction. It returns ErrStale if the stored order has another version, or none.
	Delete(ctx context.Context, id uuid.UUID, version int64) error
}

const (
	// ErasedAddress is stored in place of an erased address. It is not empty, because
	// earlier releases, which run during a rollout, don't accept empty addresses.
	ErasedAddress = "-"
	// EraseBatch is the maximum number of orders erased in one transaction.
	EraseBatch = 500
)
