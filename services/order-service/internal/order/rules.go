package order

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/money"
	"github.com/example/microservices/pkg/text"
)

// Limits of an order: counts, lengths in characters, and amounts.
const (
	MaxItems                    = 100
	MaxProductID                = 100
	MaxProductName              = 200
	MaxQuantity                 = 1_000_000
	MaxPrice       money.Amount = 99_999_999_99
	MaxTotal       money.Amount = 999_999_999_999_99
	MaxAddress                  = 500
)

var errTotal = fmt.Errorf("the order's total must be at most %s", MaxTotal)

// parseAddress validates and normalizes a shipping address.
func parseAddress(s string) (string, error) { return text.Block(s, MaxAddress) }

// parseItems validates items and computes their total. It accepts texts of stored items
// unchecked. The error is invalid.Fields, with paths such as "items[1].quantity".
func parseItems(items, stored []Item) ([]Item, money.Amount, error) {
	var problems invalid.Fields
	if len(items) < 1 || len(items) > MaxItems {
		problems.Add("items", fmt.Sprintf("must be 1 to %d items", MaxItems))
		return nil, 0, problems.Err()
	}
	parsed := make([]Item, len(items))
	for i, item := range items {
		var err error
		parsed[i], err = parseItem(item, stored)
		problems.Check(fmt.Sprintf("items[%d]", i), err)
	}
	if len(problems) > 0 {
		return nil, 0, problems.Err()
	}
	total, err := totalOf(parsed)
	problems.Check("items", err)
	return parsed, total, problems.Err()
}

func parseItem(item Item, stored []Item) (Item, error) {
	var problems invalid.Fields
	var err error
	if !slices.ContainsFunc(stored, func(s Item) bool { return s.ProductID == item.ProductID }) {
		item.ProductID, err = text.Line(item.ProductID, MaxProductID)
		problems.Check("product_id", err)
	}
	if !slices.ContainsFunc(stored, func(s Item) bool { return s.ProductName == item.ProductName }) {
		item.ProductName, err = text.Line(item.ProductName, MaxProductName)
		problems.Check("product_name", err)
	}
	switch {
	case item.Quantity < 1:
		problems.Add("quantity", "must be at least 1")
	case item.Quantity > MaxQuantity:
		problems.Add("quantity", fmt.Sprintf("must be at most %d", MaxQuantity))
	}
	switch {
	case item.Price < 0:
		problems.Add("price", "must be at least 0")
	case item.Price > MaxPrice:
		problems.Add("price", fmt.Sprintf("must be at most %s", MaxPrice))
	}
	return item, problems.Err()
}

func totalOf(items []Item) (money.Amount, error) {
	var total money.Amount
	for _, item := range items {
		amount, err := item.Price.Mul(item.Quantity)
		if err != nil {
			return 0, errTotal
		}
		total, err = total.Add(amount)
		if errors.Is(err, money.ErrOverflow) || total > MaxTotal {
			return 0, errTotal
		}
	}
	return total, nil
}

func same(a, b Order) bool {
	return a.Status == b.Status && a.ShippingAddress == b.ShippingAddress && slices.Equal(a.Items, b.Items)
}

func parseDraft(d Draft) (Order, error) {
	var problems invalid.Fields
	var parsed Order
	var err error
	parsed.UserID, err = ids.Parse(d.UserID)
	problems.Check("user_id", err)
	parsed.Items, parsed.Total, err = parseItems(d.Items, nil)
	problems = append(problems, fieldsOf(err)...)
	parsed.ShippingAddress, err = parseAddress(d.ShippingAddress)
	problems.Check("shipping_address", err)
	return parsed, problems.Err()
}

func fieldsOf(err error) invalid.Fields {
	var fields invalid.Fields
	errors.As(err, &fields)
	return fields
}

// change is a patch with valid values.
type change struct {
	status  *Status
	address *string
	items   *Order // only Items and Total are set
	more    bool
}

// parsePatch validates a patch. Texts that equal the stored ones are not checked: an earlier
// release may have accepted what this one rejects, and a client may send back what it read.
func parsePatch(p Patch, stored Order) (change, error) {
	var problems invalid.Fields
	c := change{more: p.More}
	if p.Status != nil {
		status, err := ParseStatus(*p.Status)
		problems.Check("status", err)
		c.status = &status
	}
	if p.ShippingAddress != nil && *p.ShippingAddress != stored.ShippingAddress {
		address, err := parseAddress(*p.ShippingAddress)
		problems.Check("shipping_address", err)
		c.address = &address
	}
	if p.Items != nil {
		items, total, err := parseItems(p.Items, stored.Items)
		problems = append(problems, fieldsOf(err)...)
		c.items = &Order{Items: items, Total: total}
	}
	return c, problems.Err()
}

// apply returns the changed order, or an error if the actor may not make the change. It
// checks permissions first, so that an unauthorized actor learns nothing else.
func (c change) apply(stored Order, actor Actor) (Order, error) {
	changed := stored
	if c.address != nil {
		changed.ShippingAddress = *c.address
	}
	if c.items != nil {
		changed.Items, changed.Total = c.items.Items, c.items.Total
	}
	edited := !same(stored, changed)
	if edited && !actor.Owns.Includes(stored.UserID) {
		return Order{}, ErrNotOwner
	}
	moved := c.status != nil && (*c.status != stored.Status || !c.more)
	if moved {
		err := actor.mayBecome(stored.UserID, *c.status)
		if err != nil {
			return Order{}, err
		}
	}
	if edited && stored.Status != Pending {
		return Order{}, &NotPendingError{Status: stored.Status}
	}
	if moved {
		err := checkTransition(stored.Status, *c.status)
		if err != nil {
			return Order{}, err
		}
		changed.Status = *c.status
	}
	return changed, nil
}

func later(a, b time.Time) time.Time {
	return slices.MaxFunc([]time.Time{a, b}, time.Time.Compare)
}
