package order

import (
	"errors"
	"fmt"
	"slices"

	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/money"
	"github.com/example/microservices/pkg/text"
)

// The limits of an order.
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

// parseAddress reads a shipping address.
func parseAddress(s string) (string, error) { return text.Block(s, MaxAddress) }

// parseItems reads items and computes their total. The texts of those that are stored are
// not judged. The error is invalid.Fields, with a path for each: "items[1].quantity".
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
