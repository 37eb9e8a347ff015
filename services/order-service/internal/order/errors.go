package order

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotFound says that there is no such order.
	ErrNotFound = errors.New("there is no such order")
	// ErrStale says that the order has changed since it was read.
	ErrStale = errors.New("the order has changed since it was read")
)

var (
	// ErrNotFulfilling says that an actor asked for a status that is not its to give.
	ErrNotFulfilling = errors.New("only whoever fulfils orders may confirm, ship or deliver one")
	// ErrNotOwner says that an actor asked for what only the owner may do.
	ErrNotOwner = errors.New("only its owner may do that to an order")
)

// RecordError says that an order is a record of what happened, which its owner can't
// delete.
type RecordError struct{ Status Status }

func (e *RecordError) Error() string {
	hint := ""
	if e.Status == Confirmed {
		hint = "; cancel it first"
	}
	return fmt.Sprintf("an order that is %s can't be deleted; only one that is %s or %s can%s", e.Status, Pending, Cancelled, hint)
}

// TransitionError says that an order can't become what it was asked to.
type TransitionError struct{ From, To Status }

func (e *TransitionError) Error() string {
	next := "it can't change any more"
	if allowed := transitions[e.From]; len(allowed) > 0 {
		next = "it can become " + joinStatuses(allowed)
	}
	return fmt.Sprintf("an order that is %s can't become %s; %s", e.From, e.To, next)
}

// NotPendingError says that an order is past the point where its items and its
// address can be changed.
type NotPendingError struct{ Status Status }

func (e *NotPendingError) Error() string {
	return fmt.Sprintf("an order that is %s can't change its items or its shipping address; only one that is %s can", e.Status, Pending)
}

// ErrUserUnknown says that user-service knows no such user.
var ErrUserUnknown = errors.New("no such user")

// UsersUnavailableError says that user-service could not be asked. No order
// may be created on the strength of it.
type UsersUnavailableError struct {
	// RetryAfter is when it makes sense to ask again.
	RetryAfter time.Duration
	// Err is the cause, for the log. It is never shown to a client.
	Err error
}

func (e *UsersUnavailableError) Error() string {
	return fmt.Sprintf("user-service is unavailable: %v", e.Err)
}

func (e *UsersUnavailableError) Unwrap() error { return e.Err }
