// Package order is what an order is, and the rules that hold for one.
package order

import (
	"bytes"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/money"
	"github.com/example/microservices/pkg/page"
)

// Order is what a user has ordered.
type Order struct {
	ID              uuid.UUID
	UserID          uuid.UUID
	Items           []Item
	ShippingAddress string
	Status          Status
	// Total is the sum over the items of price × quantity.
	Total money.Amount
	// Version counts the changes, from 1.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
	// ErasedAt is when the shipping address was erased, as the user was deleted; nil: it
	// is there.
	ErasedAt *time.Time
	// ChangedBy is who made this version.
	ChangedBy Role
}

// Item is a product, and how many of it at which price. The tags are the form
// in which stores keep items.
type Item struct {
	ProductID   string       `json:"product_id"`
	ProductName string       `json:"product_name"`
	Quantity    int64        `json:"quantity"`
	Price       money.Amount `json:"price"`
}

// Size is about how much memory o takes, in bytes.
func (o Order) Size() int {
	n := len(o.ShippingAddress)
	for _, item := range o.Items {
		n += itemSize + len(item.ProductID) + len(item.ProductName)
	}
	return n
}

// itemSize is that of an item without its texts, in bytes.
const itemSize = 80

// Filter chooses orders. A field that is nil lets all through.
type Filter struct {
	UserID  *uuid.UUID
	Status  *Status
	Created page.Period
}

// IDs returns what the ids of a page lie between, neither of them included, which begins
// below an id and has only what the period lets through: an order's id has the millisecond
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
