package order

import (
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
)

// Role is the kind of caller that changed an order, as recorded in its history.
type Role string

// All roles.
const (
	// Anyone is a client without a token, where none is required.
	Anyone Role = "anyone"
	// Customer is the user who owns the order.
	Customer Role = "customer"
	// Fulfilment is a caller with the scope orders:fulfil.
	Fulfilment Role = "fulfilment"
	Admin      Role = "admin"
	// Erasure is the erasure after the user's deletion.
	Erasure Role = "erasure"
)

// Actor is a caller and its permissions. The zero value permits nothing.
type Actor struct {
	// Role is recorded in the history of changed orders.
	Role Role
	// Sees is the users whose orders the actor may read. Other orders appear not to exist.
	Sees access.Reach
	// Owns is the users whose orders it may create, edit, cancel and delete.
	Owns access.Reach
	// Fulfils permits confirming, shipping, delivering and cancelling every order in Sees.
	Fulfils bool
	// Expunges permits deleting an order in Owns in any status.
	Expunges bool
}

// mayBecome returns an error unless the actor may set status s on an order of owner. It
// doesn't check whether the transition is allowed.
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

// roleFor returns the role to record for a change of an order of owner to the status s, which
// is nil if it stays. An owner who may also fulfil orders acts as the owner, except where only
// fulfilment may.
func (a Actor) roleFor(owner uuid.UUID, s *Status) Role {
	fulfils := s != nil && (*s == Confirmed || *s == Shipped || *s == Delivered)
	if a.Role == Fulfilment && a.Owns.Includes(owner) && !fulfils {
		return Customer
	}
	return a.Role
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
