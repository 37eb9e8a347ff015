package order

import (
	"errors"
	"slices"
	"strings"
)

// Status is the status of an order.
type Status string

// The statuses of an order.
const (
	Pending   Status = "pending"
	Confirmed Status = "confirmed"
	Shipped   Status = "shipped"
	Delivered Status = "delivered"
	Cancelled Status = "cancelled"
)

var (
	statuses    = []Status{Pending, Confirmed, Shipped, Delivered, Cancelled}
	transitions = map[Status][]Status{
		Pending:   {Confirmed, Cancelled},
		Confirmed: {Shipped, Cancelled},
		Shipped:   {Delivered},
	}
)

var errStatus = errors.New("must be one of " + joinStatuses(statuses))

// ParseStatus parses a status. Its error may be shown to the client.
func ParseStatus(s string) (Status, error) {
	if !slices.Contains(statuses, Status(s)) {
		return "", errStatus
	}
	return Status(s), nil
}

func checkTransition(from, to Status) error {
	if !slices.Contains(transitions[from], to) {
		return &TransitionError{From: from, To: to}
	}
	return nil
}

func joinStatuses(s []Status) string {
	words := make([]string, len(s))
	for i, status := range s {
		words[i] = string(status)
	}
	return strings.Join(words, ", ")
}
