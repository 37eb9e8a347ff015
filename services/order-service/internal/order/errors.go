package order

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotFound means that the order doesn't exist, or that the actor may not read it.
	ErrNotFound = errors.New("there is no such order")
	// ErrStale means that the order has changed since it was read.
	ErrStale = errors.New("the order has changed since it was read")
)

var (
	// ErrNotFulfilling means that only fulfilment may set the requested status.
	ErrNotFulfilling = errors.New("confirming, shipping or delivering an order requires fulfilment")
	// ErrNotOwner means that only the order's owner may make the requested change.
	ErrNotOwner = errors.New("only the owner may make this change to an order")
)

// RecordError means that the owner can't delete an order that was confirmed, shipped or
// delivered: it is a business record.
type RecordError struct{ Status Status }

func (e *RecordError) Error() string {
	hint := ""
	if e.Status == Confirmed {
		hint = "; cancel it first"
	}
	return fmt.Sprintf("an order that is %s can't be deleted; only one that is %s or %s can%s", e.Status, Pending, Cancelled, hint)
}

// TransitionError means that status To can't follow status From.
type TransitionError struct{ From, To Status }

func (e *TransitionError) Error() string {
	next := "it can't change any more"
	if allowed := transitions[e.From]; len(allowed) > 0 {
		next = "it can become " + joinStatuses(allowed)
	}
	return fmt.Sprintf("an order that is %s can't become %s; %s", e.From, e.To, next)
}

// NotPendingError means that items and address can't change, because the order is no longer
// pending.
type NotPendingError struct{ Status Status }

func (e *NotPendingError) Error() string {
	return fmt.Sprintf("an order that is %s can't change its items or its shipping address; only one that is %s can", e.Status, Pending)
}

// ErrUserUnknown means that the user doesn't exist, or that the actor doesn't own its orders.
var ErrUserUnknown = errors.New("no such user")

// UsersUnavailableError means that user-service could not confirm whether a user exists. No
// order may be created then.
type UsersUnavailableError struct {
	// RetryAfter is how long to wait before the next attempt.
	RetryAfter time.Duration
	// Err is the cause, for the log only. Clients never see it.
	Err error
}

func (e *UsersUnavailableError) Error() string {
	return fmt.Sprintf("user-service is unavailable: %v", e.Err)
}

func (e *UsersUnavailableError) Unwrap() error { return e.Err }
