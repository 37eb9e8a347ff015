package order

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
)

// Orders provides the operations on orders.
type Orders struct {
	store Store
	users Users
	now   func() time.Time
}

// New returns operations on the orders in store. users looks up their owners.
func New(store Store, users Users) *Orders {
	return &Orders{store: store, users: users, now: time.Now}
}

// Draft is the unvalidated input for a new order.
type Draft struct {
	UserID          string
	Items           []Item
	ShippingAddress string
}

// Prepare validates a draft and returns a new order, which the caller must store. The user
// must exist, and be in actor.Owns. The errors are invalid.Fields and those of Users.Verify.
func (o *Orders) Prepare(ctx context.Context, actor Actor, d Draft) (Order, error) {
	made, err := parseDraft(d)
	if err != nil {
		return Order{}, err
	}
	err = o.verify(ctx, actor.Owns, made.UserID)
	if err != nil {
		return Order{}, err
	}
	made.ID, err = ids.New()
	if err != nil {
		return Order{}, err
	}
	made.Status, made.ChangedBy = Pending, actor.roleFor(made.UserID, nil)
	made.Version = 1
	made.CreatedAt = ids.Time(made.ID) // so that ids and creation times sort alike
	made.UpdatedAt = made.CreatedAt
	return made, nil
}

// verify calls Users.Verify for a user that reach includes. Others appear not to exist.
func (o *Orders) verify(ctx context.Context, reach access.Reach, user uuid.UUID) error {
	if !reach.Includes(user) {
		return ErrUserUnknown
	}
	return o.users.Verify(ctx, user)
}

// Get returns an order that the actor may read, or ErrNotFound.
func (o *Orders) Get(ctx context.Context, actor Actor, id uuid.UUID) (Order, error) {
	stored, err := o.store.Get(ctx, id)
	if err != nil {
		return Order{}, err
	}
	if !actor.Sees.Includes(stored.UserID) {
		return Order{}, ErrNotFound
	}
	return stored, nil
}

// List returns a page of the orders that match f and that the actor may read, newest first.
func (o *Orders) List(ctx context.Context, actor Actor, f Filter, r page.Request) (page.Page[Order], error) {
	if f.UserID == nil {
		f.UserID = actor.Sees.Owner()
	} else if !actor.Sees.Includes(*f.UserID) {
		return page.Page[Order]{}, nil
	}
	return o.store.List(ctx, f, r)
}

// Patch is a change of an order. Nil fields keep their values.
type Patch struct {
	Status          *string
	Items           []Item
	ShippingAddress *string
	// More means that other fields accompany the status, as when a client sends back an
	// order that it read. Then the current status is not an attempted transition.
	More bool
}

// Change returns stored with p applied, or stored itself if nothing changes. It applies all
// of a patch or nothing. The errors are invalid.Fields, ErrNotOwner (for items, address and
// cancellation), ErrNotFulfilling, *TransitionError and *NotPendingError.
func (o *Orders) Change(actor Actor, stored Order, p Patch) (Order, error) {
	change, err := parsePatch(p, stored)
	if err != nil {
		return Order{}, err
	}
	changed, err := change.apply(stored, actor)
	if err != nil || same(stored, changed) {
		return stored, err
	}
	changed.Version++
	changed.ChangedBy = actor.roleFor(stored.UserID, change.status)
	changed.UpdatedAt = later(o.timestamp(), stored.UpdatedAt)
	return changed, nil
}

// Save stores an order that Change returned. It does nothing if version is the order's own:
// nothing changed. It returns ErrStale if the stored order has another version by now.
func (o *Orders) Save(ctx context.Context, changed Order, version int64) error {
	if changed.Version == version {
		return nil
	}
	return o.store.Update(ctx, changed)
}

// Delete deletes stored. The errors are ErrNotOwner, *RecordError, and ErrStale if the order
// has changed since it was read.
func (o *Orders) Delete(ctx context.Context, actor Actor, stored Order) error {
	err := actor.mayDelete(stored)
	if err != nil {
		return err
	}
	return o.store.Delete(ctx, stored.ID, stored.Version)
}

// timestamp returns the current time in milliseconds, the precision of the API.
func (o *Orders) timestamp() time.Time { return o.now().UTC().Truncate(time.Millisecond) }
