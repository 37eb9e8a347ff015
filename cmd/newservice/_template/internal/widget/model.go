// Package widget provides the domain model of widgets: validation and permissions. Storage
// is an interface, Store.
package widget

import (
	"bytes"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
)

// Widget is a widget of a user.
type Widget struct {
	ID uuid.UUID
	// OwnerID is the owner's id, the subject of its tokens.
	OwnerID uuid.UUID
	Name    string
	// Quantity is a number of pieces.
	Quantity int64
	// Version starts at 1 and increases with each change.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Filter selects widgets. A nil field matches all.
type Filter struct {
	OwnerID *uuid.UUID
	Created page.Period
}

// IDs converts f.Created and the page's start to exclusive bounds of ids: a page has the
// widgets with after < id < before. That works because an id contains the millisecond of
// its creation.
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
