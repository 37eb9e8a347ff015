package user

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/page"
)

// Guard is called before a caller uses an email address, because the result reveals whether
// another user has it. If it returns an error, the store is not queried.
type Guard func(context.Context) error

// Users provides the operations on users.
type Users struct {
	store Store
	guard Guard
	now   func() time.Time
}

// New returns operations on the users in store.
func New(store Store, guard Guard) *Users { return &Users{store: store, guard: guard, now: time.Now} }

// Draft is the unvalidated input for a new user.
type Draft struct {
	Name, Email string
	Age         *int
}

// Prepare validates a draft and returns a new user, which the caller must store. Its id is
// the one that reach is limited to, or a new one if reach is everyone. The errors are
// invalid.Fields, ErrNobody, and the guard's.
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

// Explain returns the precise reason why a user could not be stored. A store can't always
// tell: for a user that exists it may return ErrEmailTaken, because of that user's own
// address. For a user that was deleted it returns ErrExists.
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

// Get returns a user that reach includes, or ErrNotFound.
func (u *Users) Get(ctx context.Context, reach access.Reach, id uuid.UUID) (User, error) {
	if !reach.Includes(id) {
		return User{}, ErrNotFound
	}
	return u.store.Get(ctx, id)
}

// Existing returns those of the ids that users have, in any order.
func (u *Users) Existing(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	return u.store.Existing(ctx, ids)
}

// List returns a page of the users that match f and that reach includes, newest first. It
// sorts by id, or by creation time if f.Created is set (page.FirstByTime), because ids from
// tokens contain no time. If reach is one user, List reads only that one, so that neither
// the result nor the duration reveals whether another user has an address.
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

// only returns a page with one, if f and r include it; err is the error of reading it.
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

// Patch is a change of a user. Nil fields keep their values.
type Patch struct {
	Name, Email *string
	// SetAge means that Age, which may be nil, replaces the age.
	SetAge bool
	Age    *int
}

// Change returns stored with p applied, or stored itself if nothing changes. The error is
// invalid.Fields.
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

// Save stores a user that Change returned, unless nothing changed. The errors are ErrStale
// if the stored user has changed since it was read, ErrEmailTaken, and the guard's if the
// address changes.
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

// Delete deletes stored. It returns ErrStale if the user has changed since it was read.
func (u *Users) Delete(ctx context.Context, stored User) error {
	return u.store.Delete(ctx, stored.ID, stored.Version)
}

// timestamp returns the current time in milliseconds, the precision of the API.
func (u *Users) timestamp() time.Time { return u.now().UTC().Truncate(time.Millisecond) }
