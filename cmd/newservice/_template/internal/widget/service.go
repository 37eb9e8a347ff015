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

// Widgets provides the operations on widgets.
type Widgets struct {
	store Store
	now   func() time.Time
}

// New returns operations on the widgets in store.
func New(store Store) *Widgets { return &Widgets{store: store, now: time.Now} }

// Draft is the unvalidated input for a new widget.
type Draft struct {
	// OwnerID is the owner; nil: the caller.
	OwnerID  *string
	Name     string
	Quantity int64
}

// Prepare validates a draft and returns a new widget, which the caller must store. Reach
// must include its owner. The error is invalid.Fields.
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
	made.CreatedAt = ids.Time(made.ID) // so that ids and creation times sort alike
	made.UpdatedAt = made.CreatedAt
	return made, nil
}

// Get returns a widget whose owner reach includes, or ErrNotFound.
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

// List returns a page of the widgets that match f and whose owner reach includes, newest
// first.
func (s *Widgets) List(ctx context.Context, reach access.Reach, f Filter, r page.Request) (page.Page[Widget], error) {
	if f.OwnerID == nil {
		f.OwnerID = reach.Owner()
	} else if !reach.Includes(*f.OwnerID) {
		return page.Page[Widget]{}, nil
	}
	return s.store.List(ctx, f, r)
}

// Patch is a change of a widget. Nil fields keep their values.
type Patch struct {
	Name     *string
	Quantity *int64
}

// Change returns stored with p applied, or stored itself if nothing changes. The error is
// invalid.Fields.
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

// Save stores a widget that Change returned, unless its version is still the given one. It
// returns ErrStale if the stored widget has another version by now.
func (s *Widgets) Save(ctx context.Context, changed Widget, version int64) error {
	if changed.Version == version {
		return nil
	}
	return s.store.Update(ctx, changed)
}

// Delete deletes stored. It returns ErrStale if the widget has changed since it was read.
func (s *Widgets) Delete(ctx context.Context, stored Widget) error {
	return s.store.Delete(ctx, stored.ID, stored.Version)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
