// Package user is what a user is, and the rules that hold for one.
package user

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/pkg/text"
)

const (
	// MaxName is the length of the longest name, in characters.
	MaxName = 100
	// MaxAge is the highest age, in years.
	MaxAge = 150
)

var (
	// ErrNotFound says that there is no such user.
	ErrNotFound = errors.New("there is no such user")
	// ErrEmailTaken says that another user has the email address.
	ErrEmailTaken = errors.New("the email address is taken")
	// ErrExists says that the user who would be created is there already.
	ErrExists = errors.New("the user exists already")
	// ErrNobody says that no user can be created who would be within reach.
	ErrNobody = errors.New("there is no user within reach")
	// ErrStale says that the user has changed since it was read.
	ErrStale = errors.New("the user has changed since it was read")
)

// User is someone known to the service.
type User struct {
	ID    uuid.UUID
	Name  string
	Email Email
	// Age is in years, nil when it is not known.
	Age *int
	// Version counts the changes, from 1.
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// newID returns the id of a user that is created within reach.
func newID(reach access.Reach) (uuid.UUID, error) {
	owner := reach.Owner()
	switch {
	case owner == nil:
		return ids.New()
	case !reach.Includes(*owner):
		return uuid.Nil, ErrNobody
	}
	return *owner, nil
}

// Filter chooses users. A field that is nil lets all through.
type Filter struct {
	// Email is compared by its key.
	Email   *Email
	Created page.Period
}

func (f Filter) includes(u User) bool {
	return (f.Email == nil || f.Email.Key() == u.Email.Key()) && f.Created.Includes(u.CreatedAt)
}

// Store keeps users.
type Store interface {
	// Get returns the user, or ErrNotFound.
	Get(ctx context.Context, id uuid.UUID) (User, error)
	// GetByEmail returns the user with the key of an address, or ErrNotFound.
	GetByEmail(ctx context.Context, key string) (User, error)
	// List returns a page of the users, by id.
	List(ctx context.Context, r page.Request) (page.Page[User], error)
	// ListByTime returns a page of the users that were created after an instant, by the
	// time of their creation.
	ListByTime(ctx context.Context, after time.Time, r page.Request) (page.Page[User], error)
	// Update stores u in place of the version before it (u.Version - 1). It
	// returns ErrStale when there is no such version any more, and
	// ErrEmailTaken.
	Update(ctx context.Context, u User) error
	// Delete deletes that version of the user, and erases the records of requests
	// whose answers were about it, both or neither. It returns ErrStale when there is
	// no such version any more.
	Delete(ctx context.Context, id uuid.UUID, version int64) error
}

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

// Explain returns why a user could not be added: of one that is there already a store may
// say that its address is taken, which is its own.
func (u *Users) Explain(ctx context.Context, added User, err error) error {
	if !errors.Is(err, ErrEmailTaken) {
		return err
	}
	_, missing := u.store.Get(ctx, added.ID)
	if missing == nil {
		return ErrExists
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

// apply changes u. Its error is invalid.Fields, with everything that is wrong. A text of
// a user that is there and stays as it is isn't judged: an earlier version may have taken
// what this one refuses, and what was read may be sent back.
func apply(u *User, p Patch) error {
	var problems invalid.Fields
	stored := u.Version > 0
	if p.Name != nil && !(stored && *p.Name == u.Name) {
		name, err := text.Line(*p.Name, MaxName)
		problems.Check("name", err)
		u.Name = name
	}
	if p.Email != nil && !(stored && *p.Email == u.Email.String()) {
		email, err := ParseEmail(*p.Email)
		problems.Check("email", err)
		u.Email = email
	}
	if p.SetAge {
		if p.Age != nil && (*p.Age < 0 || *p.Age > MaxAge) {
			problems.Add("age", "must be 0 to 150")
		}
		u.Age = p.Age
	}
	return problems.Err()
}

func same(a, b User) bool {
	sameAge := a.Age == b.Age || a.Age != nil && b.Age != nil && *a.Age == *b.Age
	return a.Name == b.Name && a.Email == b.Email && sameAge
}

// timestamp is now, as exactly as clients keep it.
func (u *Users) timestamp() time.Time { return u.now().UTC().Truncate(time.Millisecond) }

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
