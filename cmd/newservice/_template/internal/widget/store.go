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
	// List returns a page of the widgets that f lets through, newest first.
	List(ctx context.Context, f Filter, r page.Request) (page.Page[Widget], error)
	// Update stores it in place of the version before it (it.Version - 1). It returns
	// ErrStale when there is no such version any more.
	Update(ctx context.Context, it Widget) error
	// Delete deletes that version of the widget, and erases the records of requests whose
	// answers were about it, both or neither. It returns ErrStale when there is no such
	// version any more.
	Delete(ctx context.Context, id uuid.UUID, version int64) error
}
