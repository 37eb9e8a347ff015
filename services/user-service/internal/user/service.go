package user

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/page"
)

// Guard is asked before somebody tries an email address: what comes of it tells whether
// another user has the address. Its error keeps the store from being asked.
type Guard func(context.Context) error

// Users is the operations on users.
type Users struct {
	store Store
	guard Guard
	now   func() time.Time
}

// New returns the operations on the users in a store.
func New(store Store, guard Guard) *Users { return &Users{store: store, guard: guard, now: time.Now} }

// Draft is a user to be.
type Draft struct {
	Name, Email string
	Age         *int
}

// Prepare makes a user, who is to be added to the store: the one within reach, or a new
// one when all are. The errors are invalid.Fields, ErrNobody, and the guard's.
func (u *Users) Prepare(ctx context.Context, reach access.Reach, d Draft) (User, error) {
	var made User
	err := apply(&made, Patch{Name: &d.Name, Email: &d.Email, SetAge: true, Age: d.Age})
	if err != nil {
		return User{}, err
	}
	made.ID, err = newID(reach)
	if err != nil {
		return User{}, err
	}
	made.Version = 1
	made.CreatedAt = u.timestamp()
	made.UpdatedAt = made.CreatedAt
	return made, u.guard(ctx)
}

// Explain returns why a user could not be added. Of one that is there already a store may
// say that its address is taken, which is its own, and of one that was deleted that it
// exists.
func (u *Users) Explain(ctx context.Context, added User, err error) error {
	if !errors.Is(err, ErrEmailTaken) && !errors.Is(err, ErrExists) {
		return err
	}
	_, missing := u.store.Get(ctx, added.ID)
	switch {
	case missing == nil:
		return ErrExists
	case errors.Is(err, ErrExists) && errors.Is(missing, ErrNotFound):
		return ErrDeleted
	}
	return err
}

// Get returns a user within reach, or ErrNotFound.
func (u *Users) Get(ctx context.Context, reach access.Reach, id uuid.UUID) (User, error) {
	if !reach.Includes(id) {
		return User{}, ErrNotFound
	}
	return u.store.Get(ctx, id)
}

// List returns a page of the users within reach that f lets through, newest first: by id,
// or where f is for a time, by that (page.FirstByTime), since not every id was made here.
// Whoever reaches one user only is told nothing by whether another one has an address,
// nor by how long it takes: that one is the only one that is looked at.
func (u *Users) List(ctx context.Context, reach access.Reach, f Filter, r page.Request) (page.Page[User], error) {
	switch {
	case reach.Owner() != nil:
		one, err := u.store.Get(ctx, *reach.Owner())
		return only(one, err, f, r)
	case f.Email != nil:
		one, err := u.store.GetByEmail(ctx, f.Email.Key())
		return only(one, err, f, r)
	case !f.Created.IsBound():
		return u.store.List(ctx, r)
	}
	after, before := f.Created.Bounds()
	if !r.At.Before(before) {
		r.At, r.Before = before, uuid.Nil
	}
	return u.store.ListByTime(ctx, after, r)
}

// only is the list of the one user that there may be.
func only(one User, err error, f Filter, r page.Request) (page.Page[User], error) {
	switch {
	case errors.Is(err, ErrNotFound):
		return page.Page[User]{}, nil
	case err != nil:
		return page.Page[User]{}, err
	case !f.includes(one) || !r.Includes(one.CreatedAt, one.ID):
		return page.Page[User]{}, nil
	}
	return page.Page[User]{Items: []User{one}}, nil
}

// Patch is a change of a user. What is nil stays as it is.
type Patch struct {
	Name, Email *string
	// SetAge says that the age becomes Age, which may be nil.
	SetAge bool
	Age    *int
}

// Change returns what a user, as it is stored, becomes: itself, if nothing changes. The
// error is invalid.Fields.
func (u *Users) Change(stored User, p Patch) (User, error) {
	changed := stored
	err := apply(&changed, p)
	if err != nil || same(stored, changed) {
		return stored, err
	}
	changed.Version++
	changed.UpdatedAt = later(u.timestamp(), stored.UpdatedAt)
	return changed, nil
}

// Save stores what a user has become, unless that is still the same. The errors are
// ErrStale, when it has changed since, ErrEmailTaken, and the guard's when the address
// becomes another one.
func (u *Users) Save(ctx context.Context, stored, changed User) error {
	if changed.Version == stored.Version {
		return nil
	}
	if changed.Email.Key() != stored.Email.Key() {
		err := u.guard(ctx)
		if err != nil {
			return err
		}
	}
	return u.store.Update(ctx, changed)
}

// Delete deletes a user, as it is stored. It returns ErrStale when it has changed since.
func (u *Users) Delete(ctx context.Context, stored User) error {
	return u.store.Delete(ctx, stored.ID, stored.Version)
}

// timestamp is now, as exactly as clients keep it.
func (u *Users) timestamp() time.Time { return u.now().UTC().Truncate(time.Millisecond) }
