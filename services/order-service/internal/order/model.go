// Package order provides the domain model of orders: validation, permissions and status
// transitions. Storage and user lookups are interfaces, Store and Users.
package order

import (
	"bytes"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/money"
	"github.com/example/microservices/pkg/page"
)

// Order is an order of a user.
type Order struct {
	ID              uuid.UUID
	UserID          uuid.UUID
	Items           []Item
	ShippingAddress string
	Status          Status
	// Total is the sum over the items of price × quantity.
	Total money.Amount
	// Version starts at 1 and increases with each change.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
	// ErasedAt is when the shipping address was erased after the user's deletion; nil if it
	// was not.
	ErasedAt *time.Time
	// ChangedBy is the role that created this version.
	ChangedBy Role
}

// Item is a product with quantity and unit price. Stores keep items as JSON with these tags.
type Item struct {
	ProductID   string       `json:"product_id"`
	ProductName string       `json:"product_name"`
	Quantity    int64        `json:"quantity"`
	Price       money.Amount `json:"price"`
}

// Size estimates the memory that o takes, in bytes.
func (o Order) Size() int {
	n := len(o.ShippingAddress)
	for _, item := range o.Items {
		n += itemSize + len(item.ProductID) + len(item.ProductName)
	}
	return n
}

// itemSize is the size of an item without its strings, in bytes.
const itemSize = 80

// Filter selects orders. A nil field matches all.
type Filter struct {
	UserID  *uuid.UUID
	Status  *Status
	Created page.Period
}

// IDs converts f.Created and the page's start to exclusive bounds of ids: a page has the
// orders with after < id < before. That works because an id contains the millisecond of its
// creation.
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
