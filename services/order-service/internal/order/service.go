package order

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
)

// Orders is the operations on orders.
type Orders struct {
	store Store
	users Users
	now   func() time.Time
}

// New returns the operations on the orders in a store, of users that users
// knows.
func New(store Store, users Users) *Orders {
	return &Orders{store: store, users: users, now: time.Now}
}

// Draft is an order to be.
type Draft struct {
	UserID          string
	Items           []Item
	ShippingAddress string
}

// Prepare makes an order, which is to be added to the store, for a user whose orders are
// the actor's, and who is known to exist. The errors are invalid.Fields, and those of
// Users.Verify.
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
	made.Status, made.ChangedBy = Pending, actor.Role
	made.Version = 1
	made.CreatedAt = ids.Time(made.ID) // so that the one sorts as the other
	made.UpdatedAt = made.CreatedAt
	return made, nil
}

// verify is Users.Verify for a user within reach. There seem to be no others.
func (o *Orders) verify(ctx context.Context, reach access.Reach, user uuid.UUID) error {
	if !reach.Includes(user) {
		return ErrUserUnknown
	}
	return o.users.Verify(ctx, user)
}

// Get returns an order that the actor sees, or ErrNotFound.
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

// List returns a page of the orders that the actor sees and f lets through, newest
// first.
func (o *Orders) List(ctx context.Context, actor Actor, f Filter, r page.Request) (page.Page[Order], error) {
	if f.UserID == nil {
		f.UserID = actor.Sees.Owner()
	} else if !actor.Sees.Includes(*f.UserID) {
		return page.Page[Order]{}, nil
	}
	return o.store.List(ctx, f, r)
}

// Patch is a change of an order. What is nil stays as it is.
type Patch struct {
	Status          *string
	Items           []Item
	ShippingAddress *string
	// More says that the status did not come alone, but with other fields, as
	// when an order that was read is sent back. The status that the order has
	// already is then no transition.
	More bool
}

// Change returns what an order, as it is stored, becomes: itself, if nothing changes. All
// of a patch is judged at once. The errors are invalid.Fields, ErrNotOwner (of items and
// address, and of a cancellation), ErrNotFulfilling, *TransitionError and *NotPendingError.
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
	changed.ChangedBy = actor.Role
	changed.UpdatedAt = later(o.timestamp(), stored.UpdatedAt)
	return changed, nil
}

// Save stores what an order of a version has become, unless that is still the same. It
// returns ErrStale when there is no such version any more.
func (o *Orders) Save(ctx context.Context, changed Order, version int64) error {
	if changed.Version == version {
		return nil
	}
	return o.store.Update(ctx, changed)
}

// Delete deletes an order, as it is stored. The errors are ErrNotOwner, *RecordError and
// ErrStale, when it has changed since.
func (o *Orders) Delete(ctx context.Context, actor Actor, stored Order) error {
	err := actor.mayDelete(stored)
	if err != nil {
		return err
	}
	return o.store.Delete(ctx, stored.ID, stored.Version)
}

// timestamp is now, as exactly as clients keep it.
func (o *Orders) timestamp() time.Time { return o.now().UTC().Truncate(time.Millisecond) }
