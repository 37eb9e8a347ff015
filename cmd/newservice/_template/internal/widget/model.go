// Package widget is what a widget is, and the rules that hold for one.
package widget

import (
	"bytes"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
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
