package widget

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/page"
)

// Widgets is the operations on widgets.
type Widgets struct {
	store Store
	now   func() time.Time
}

// New returns the operations on the widgets in a store.
func New(store Store) *Widgets { return &Widgets{store: store, now: time.Now} }

// Draft is a widget to be.
type Draft struct {
	// OwnerID is whose it is to be; nil is the caller's.
	OwnerID  *string
	Name     string
	Quantity int64
}

// Prepare makes a widget, which is to be added to the store, of an owner within reach. The
// error is invalid.Fields.
func (s *Widgets) Prepare(reach access.Reach, d Draft) (Widget, error) {
	var problems invalid.Fields
	var made Widget
	var err error
	made.OwnerID, err = owner(reach, d.OwnerID)
	problems.Check("owner_id", err)
	problems = append(problems, apply(&made, Patch{Name: &d.Name, Quantity: &d.Quantity})...)
	err = problems.Err()
	if err != nil {
		return Widget{}, err
	}
	made.ID, err = ids.New()
	if err != nil {
		return Widget{}, err
	}
	made.Version = 1
	made.CreatedAt = ids.Time(made.ID) // so that the one sorts as the other
	made.UpdatedAt = made.CreatedAt
	return made, nil
}

// Get returns a widget within reach, or ErrNotFound.
func (s *Widgets) Get(ctx context.Context, reach access.Reach, id uuid.UUID) (Widget, error) {
	stored, err := s.store.Get(ctx, id)
	if err != nil {
		return Widget{}, err
	}
	if !reach.Includes(stored.OwnerID) {
		return Widget{}, ErrNotFound
	}
	return stored, nil
}

// List returns a page of the widgets within reach that f lets through, newest first.
func (s *Widgets) List(ctx context.Context, reach access.Reach, f Filter, r page.Request) (page.Page[Widget], error) {
	if f.OwnerID == nil {
		f.OwnerID = reach.Owner()
	} else if !reach.Includes(*f.OwnerID) {
		return page.Page[Widget]{}, nil
	}
	return s.store.List(ctx, f, r)
}

// Patch is a change of a widget. What is nil stays as it is.
type Patch struct {
	Name     *string
	Quantity *int64
}

// Change returns what a widget, as it is stored, becomes: itself, if nothing changes. The
// error is invalid.Fields.
func (s *Widgets) Change(stored Widget, p Patch) (Widget, error) {
	changed := stored
	err := apply(&changed, p).Err()
	if err != nil || same(stored, changed) {
		return stored, err
	}
	changed.Version++
	changed.UpdatedAt = later(s.now().UTC().Truncate(time.Millisecond), stored.UpdatedAt)
	return changed, nil
}

// Save stores what a widget of a version has become, unless that is still the same. It
// returns ErrStale when there is no such version any more.
func (s *Widgets) Save(ctx context.Context, changed Widget, version int64) error {
	if changed.Version == version {
		return nil
	}
	return s.store.Update(ctx, changed)
}

// Delete deletes a widget, as it is stored. It returns ErrStale when it has changed since.
func (s *Widgets) Delete(ctx context.Context, stored Widget) error {
	return s.store.Delete(ctx, stored.ID, stored.Version)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
