package widget

import (
	"context"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/page"
)

// Store keeps widgets.
type Store interface {
	// Get returns the widget, or ErrNotFound.
	Get(ctx context.Context, id uuid.UUID) (Widget, error)
	// List returns a page of the widgets that match f, newest first.
	List(ctx context.Context, f Filter, r page.Request) (page.Page[Widget], error)
	// Update replaces version it.Version - 1 of the widget. It returns ErrStale if the
	// stored widget has another version, or none.
	Update(ctx context.Context, it Widget) error
	// Delete deletes the widget and erases the idempotency records about it, in one
	// transaction. It returns ErrStale if the stored widget has another version, or none.
	Delete(ctx context.Context, id uuid.UUID, version int64) error
}
