// Package widget is what a widget is, and the rules that hold for one.
package widget

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
)

var (
	// ErrNotFound says that there is no such widget.
	ErrNotFound = errors.New("there is no such widget")
	// ErrStale says that the widget has changed since it was read.
	ErrStale = errors.New("the widget has changed since it was read")
)

// Widget is what a caller owns.
type Widget struct {
	ID uuid.UUID
	// OwnerID is whose it is: the user who is the subject of the caller's token.
	OwnerID uuid.UUID
	Name    string
	// Quantity is how many there are.
	Quantity int64
	// Version counts the changes, from 1.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Filter chooses widgets. A field that is nil lets all through.
type Filter struct {
	OwnerID *uuid.UUID
	Created page.Period
}

// IDs returns what the ids of a page lie between, neither of them included, which begins
// below an id and has only what the period lets through: a widget's id has the millisecond
// of its creation.
func (f Filter) IDs(below uuid.UUID) (after, before uuid.UUID) {
	before = below
	if f.Created.After != nil {
		after = ids.At(f.Created.After.Truncate(time.Millisecond).Add(time.Millisecond))
	}
	if f.Created.Before != nil {
		end := ids.At(f.Created.Before.Add(time.Millisecond - 1).Truncate(time.Millisecond))
		if bytes.Compare(end[:], below[:]) < 0 {
			before = end
		}
	}
	return after, before
}

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

func same(a, b Widget) bool { return a.Name == b.Name && a.Quantity == b.Quantity }
