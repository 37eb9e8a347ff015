package order

import (
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
)

// Role is the kind of caller that does something to an order.
type Role string

// The roles there are.
const (
	// Anyone is whoever sends a request where no token is needed.
	Anyone Role = "anyone"
	// Customer is the user whose order it is.
	Customer Role = "customer"
	// Fulfilment is whoever fulfils orders.
	Fulfilment Role = "fulfilment"
	Admin      Role = "admin"
	// Erasure is what the deletion of the user does.
	Erasure Role = "erasure"
)

// Actor is whoever asks for something, and what it may do. The zero value may do
// nothing.
type Actor struct {
	// Role is what history says of who did it.
	Role Role
	// Sees is whose orders the actor may read. Others seem not to exist.
	Sees access.Reach
	// Owns is whose orders it may make, edit, cancel and delete.
	Owns access.Reach
	// Fulfils says that it may confirm, ship, deliver and cancel every order that it
	// sees.
	Fulfils bool
	// Expunges says that it may delete an order that it owns in any status.
	Expunges bool
}

// mayBecome returns an error unless the actor may give an order of the owner a status,
// whether or not that may follow the one it has.
func (a Actor) mayBecome(owner uuid.UUID, s Status) error {
	switch s {
	case Confirmed, Shipped, Delivered:
		if !a.Fulfils {
			return ErrNotFulfilling
		}
	case Pending, Cancelled:
		if !a.Fulfils && !a.Owns.Includes(owner) {
			return ErrNotOwner
		}
	}
	return nil
}

// mayDelete returns an error unless the actor may delete the order.
func (a Actor) mayDelete(o Order) error {
	switch {
	case !a.Owns.Includes(o.UserID):
		return ErrNotOwner
	case a.Expunges, o.Status == Pending, o.Status == Cancelled:
		return nil
	}
	return &RecordError{Status: o.Status}
}
