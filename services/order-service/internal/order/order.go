// Package order is what an order is, and the rules that hold for one.
package order

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/money"
	"github.com/example/microservices/pkg/page"
)

var (
	// ErrNotFound says that there is no such order.
	ErrNotFound = errors.New("there is no such order")
	// ErrStale says that the order has changed since it was read.
	ErrStale = errors.New("the order has changed since it was read")
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

// skew is how far apart the times in an order's id and of its creation may be: earlier
// versions have looked at the clock for each.
const skew = time.Second

// AfterID returns an id that is below all that the period lets through. A store looks at
// none below it, and at the time of those above.
func (f Filter) AfterID() uuid.UUID {
	after, _ := f.Created.Bounds()
	return ids.At(after.Add(-skew))
}

// begin returns where a page begins that has only what the period lets through.
func (f Filter) begin(before uuid.UUID) uuid.UUID {
	_, end := f.Created.Bounds()
	if id := ids.At(end.Add(skew)); bytes.Compare(id[:], before[:]) < 0 {
		return id
	}
	return before
}

// Store keeps orders.
type Store interface {
	// Create stores a new order and, unless it is nil, the record of the
	// request, both or neither. It returns idempotency.ErrTaken.
	Create(ctx context.Context, o Order, record *idempotency.Record) error
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

func same(a, b Order) bool {
	return a.Status == b.Status && a.ShippingAddress == b.ShippingAddress && slices.Equal(a.Items, b.Items)
}
