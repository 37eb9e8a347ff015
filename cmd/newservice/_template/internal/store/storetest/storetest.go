// Package storetest is the conformance test of widget stores. Each store runs it in its own
// tests.
package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/fields"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/keytest"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/widget-service/internal/widget"
)

// Store is the interface that this package tests.
type Store interface {
	Create(context.Context, widget.Widget, *idempotency.Record) error
	widget.Store
	idempotency.Store
}

// Run runs the tests. open returns an empty, migrated store, and closes it after the test.
func Run(t *testing.T, open func(*testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"every field is stored, and changed":            everyField,
		"what is stored is what is read":                readBack,
		"an update replaces only the version before it": updates,
		"a deletion deletes only the given version":     deletions,
		"a list is newest first and starts below an id": lists,
		"a list can be filtered by owner and time":      filters,
		"of many writers of the same version, one wins": writers,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	keytest.Run(t, func(t *testing.T) keytest.Store {
		s := open(t)
		of := func(id uuid.UUID) widget.Widget { return New(t, func(it *widget.Widget) { it.ID = id }) }
		return keytest.Store{
			Store: s,
			Create: func(ctx context.Context, id uuid.UUID, record *idempotency.Record) error {
				return s.Create(ctx, of(id), record)
			},
			Refused: func(ctx context.Context, id uuid.UUID, record *idempotency.Record) error {
				it := of(id)
				it.Name = ""
				return s.Create(ctx, it, record)
			},
			Has: func(ctx context.Context, id uuid.UUID) bool {
				_, err := s.Get(ctx, id)
				return err == nil
			},
			Delete: s.Delete,
		}
	})
}

// New returns a new widget, which is not stored.
func New(t testing.TB, change ...func(*widget.Widget)) widget.Widget {
	t.Helper()
	id, err := ids.New()
	require.NoError(t, err)
	now := time.Now().UTC().Truncate(time.Microsecond)
	it := widget.Widget{ID: id, OwnerID: uuid.New(), Name: "it's \\ 15″ 😀", Quantity: 3, Version: 1, CreatedAt: now, UpdatedAt: now}
	for _, f := range change {
		f(&it)
	}
	return it
}

func create(t *testing.T, s Store, it widget.Widget) widget.Widget {
	t.Helper()
	require.NoError(t, s.Create(t.Context(), it, nil))
	return it
}

// everyField fails if a query misses a column. A new field of the type must be set and
// changed here.
func everyField(t *testing.T, s Store) {
	once := New(t)
	require.NoError(t, s.Create(t.Context(), once, record("k", time.Now(), once.ID)))
	for _, stored := range []widget.Widget{once, create(t, s, New(t))} {
		fields.RequireSet(t, stored)
		changed := New(t, func(it *widget.Widget) {
			it.ID, it.OwnerID, it.CreatedAt, it.UpdatedAt = stored.ID, stored.OwnerID, stored.CreatedAt, stored.UpdatedAt.Add(time.Second)
			it.Version, it.Name, it.Quantity = 2, "another", 15
		})
		fields.RequireDiffer(t, stored, changed, "ID", "OwnerID", "CreatedAt")
		for _, want := range []widget.Widget{stored, changed} {
			if want.Version > 1 {
				require.NoError(t, s.Update(t.Context(), want))
			}
			got, err := s.Get(t.Context(), want.ID)
			require.NoError(t, err)
			require.Equal(t, want, got)
			listed, err := s.List(t.Context(), widget.Filter{}, page.First(10))
			require.NoError(t, err)
			require.Contains(t, listed.Items, want)
		}
	}
}

func readBack(t *testing.T, s Store) {
	for _, change := range []func(*widget.Widget){
		func(*widget.Widget) {},
		func(it *widget.Widget) { it.Quantity = 0 },
		func(it *widget.Widget) { it.Quantity = widget.MaxQuantity },
		func(it *widget.Widget) { it.Name = strings.Repeat("𝒜", widget.MaxName) },
		func(it *widget.Widget) { it.Version, it.UpdatedAt = 7, it.UpdatedAt.Add(time.Hour) },
	} {
		it := create(t, s, New(t, change))
		got, err := s.Get(t.Context(), it.ID)
		require.NoError(t, err)
		require.Equal(t, it, got)
	}
	_, err := s.Get(t.Context(), uuid.New())
	require.ErrorIs(t, err, widget.ErrNotFound)
}

func updates(t *testing.T, s Store) {
	it := create(t, s, New(t))
	it.Version, it.Name, it.Quantity = 2, "another", 15
	it.UpdatedAt = it.UpdatedAt.Add(time.Second)
	require.NoError(t, s.Update(t.Context(), it))
	got, err := s.Get(t.Context(), it.ID)
	require.NoError(t, err)
	require.Equal(t, it, got)

	require.ErrorIs(t, s.Update(t.Context(), it), widget.ErrStale, "again")
	it.Version = 4
	require.ErrorIs(t, s.Update(t.Context(), it), widget.ErrStale, "one too many")
	other := New(t, func(it *widget.Widget) { it.Version = 2 })
	require.ErrorIs(t, s.Update(t.Context(), other), widget.ErrStale, "never there")
}

func deletions(t *testing.T, s Store) {
	it := create(t, s, New(t))
	require.ErrorIs(t, s.Delete(t.Context(), it.ID, 2), widget.ErrStale)
	require.NoError(t, s.Delete(t.Context(), it.ID, 1))
	require.ErrorIs(t, s.Delete(t.Context(), it.ID, 1), widget.ErrStale)
	_, err := s.Get(t.Context(), it.ID)
	require.ErrorIs(t, err, widget.ErrNotFound)
}

func lists(t *testing.T, s Store) {
	got, err := s.List(t.Context(), widget.Filter{}, page.First(10))
	require.NoError(t, err)
	require.Empty(t, got.Items)
	var want []widget.Widget
	for range 5 {
		want = append(want, create(t, s, New(t)))
	}
	slices.Reverse(want)
	got, err = s.List(t.Context(), widget.Filter{}, page.First(3))
	require.NoError(t, err)
	require.Equal(t, want[:3], got.Items)
	require.NotEmpty(t, got.Next, "there is more")
	got, err = s.List(t.Context(), widget.Filter{}, page.Request{Before: want[2].ID, Limit: 10})
	require.NoError(t, err)
	require.Equal(t, want[3:], got.Items)
}

// record returns an idempotency record about a resource.
func record(key string, at time.Time, about uuid.UUID) *idempotency.Record {
	at = at.UTC().Truncate(time.Microsecond)
	return &idempotency.Record{
		Key: idempotency.Key{Caller: "c", Value: key}, Fingerprint: []byte{0, 1, 255},
		Answer:    idempotency.Answer{Status: 201, Location: "/here/" + about.String(), ETag: `"1"`, Body: []byte(`{"a": 1}`)},
		CreatedAt: at, ExpiresAt: at.Add(time.Hour),
	}
}

func filters(t *testing.T, s Store) {
	owner := uuid.New()
	var all []widget.Widget
	for i := range 8 {
		all = append(all, create(t, s, New(t, func(it *widget.Widget) {
			if i%2 == 0 {
				it.OwnerID = owner
			}
			it.CreatedAt = ids.Time(it.ID)
		})))
	}
	slices.Reverse(all)
	far := func(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	bounds := []*time.Time{nil}
	for _, at := range []time.Time{far(1969), all[1].CreatedAt, all[4].CreatedAt, all[4].CreatedAt.Add(1), all[7].CreatedAt, far(9999)} {
		bounds = append(bounds, &at)
	}
	for _, f := range []widget.Filter{{}, {OwnerID: &owner}, {OwnerID: &uuid.Nil}} {
		for _, after := range bounds {
			for _, before := range bounds {
				f.Created = page.Period{After: after, Before: before}
				want := slices.DeleteFunc(slices.Clone(all), func(it widget.Widget) bool {
					return f.OwnerID != nil && it.OwnerID != *f.OwnerID || !f.Created.Includes(it.CreatedAt)
				})
				got, err := s.List(t.Context(), f, page.First(20))
				require.NoError(t, err)
				if len(want) > 0 || len(got.Items) > 0 {
					require.Equal(t, want, got.Items)
				}
			}
		}
	}
}

func writers(t *testing.T, s Store) {
	it := create(t, s, New(t))
	it.Version = 2
	var wg sync.WaitGroup
	errs := make([]error, 30)
	for i := range errs {
		mine := it
		mine.Name = fmt.Sprint("writer ", i)
		wg.Go(func() { errs[i] = s.Update(context.Background(), mine) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, widget.ErrStale)
	}
	require.Equal(t, 1, won)
}
