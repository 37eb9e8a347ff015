// Package storetest is what every store of widgets must do. Each store runs it
// in its own tests.
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
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/widget-service/internal/widget"
)

// Store is a store as this package sees it.
type Store interface {
	Create(context.Context, widget.Widget, *idempotency.Record) error
	widget.Store
	idempotency.Store
}

// Run runs the suite. open returns a store that is empty and migrated; the
// store is closed by the one who opens it.
func Run(t *testing.T, open func(*testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"every field is stored, and changed":             everyField,
		"what is stored is what is read":                 readBack,
		"an update replaces the version before it only":  updates,
		"a deletion deletes that version only":           deletions,
		"a deletion erases the answers about the widget": erasure,
		"a list is newest first and starts below an id":  lists,
		"a list may be of one owner, and of a time":      filters,
		"a record and its widget are stored both or not": records,
		"a record lives until it expires":                expiry,
		"of many writers of one version one wins":        writers,
		"a caller that is gone leaves nothing half done": cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// New returns a widget that no store has yet.
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

func create(t *testing.T, s Store, u widget.Widget) widget.Widget {
	t.Helper()
	require.NoError(t, s.Create(t.Context(), u, nil))
	return u
}

// everyField: a column that is forgotten, wherever, is missed. A field that was added to the
// type has to be set here, and changed.
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
	u := create(t, s, New(t))
	require.ErrorIs(t, s.Delete(t.Context(), u.ID, 2), widget.ErrStale)
	require.NoError(t, s.Delete(t.Context(), u.ID, 1))
	require.ErrorIs(t, s.Delete(t.Context(), u.ID, 1), widget.ErrStale)
	_, err := s.Get(t.Context(), u.ID)
	require.ErrorIs(t, err, widget.ErrNotFound)
}

// erasure: whoever asked for the widget, nothing is left of it but the keys, until their
// time.
func erasure(t *testing.T, s Store) {
	now := time.Now()
	it, other := New(t), New(t)
	r := record("k", now, it.ID)
	require.NoError(t, s.Create(t.Context(), it, r))
	kept := record("other", now, other.ID)
	require.NoError(t, s.Create(t.Context(), other, kept))
	require.ErrorIs(t, s.Delete(t.Context(), it.ID, 2), widget.ErrStale)
	got, err := s.Recorded(t.Context(), r.Key, now)
	require.NoError(t, err)
	require.Equal(t, *r, got, "what was not deleted is not erased")

	require.NoError(t, s.Delete(t.Context(), it.ID, 1))
	got, err = s.Recorded(t.Context(), r.Key, now)
	require.NoError(t, err)
	require.True(t, got.Erased())
	require.Empty(t, got.Fingerprint)
	require.Equal(t, 410, got.Answer.Status)
	require.Empty(t, string(got.Answer.Body)+got.Answer.Location+got.Answer.ETag)
	require.Equal(t, []time.Time{r.CreatedAt, r.ExpiresAt}, []time.Time{got.CreatedAt, got.ExpiresAt})
	require.ErrorIs(t, s.Create(t.Context(), New(t), r), idempotency.ErrTaken, "the key is taken")
	got, err = s.Recorded(t.Context(), kept.Key, now)
	require.NoError(t, err)
	require.Equal(t, *kept, got, "others' answers stay")

	again := New(t)
	require.NoError(t, s.Create(t.Context(), again, record("k", r.ExpiresAt, again.ID)), "until its time is up")
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

// record returns the record of an answer about a resource.
func record(key string, at time.Time, about uuid.UUID) *idempotency.Record {
	at = at.UTC().Truncate(time.Microsecond)
	return &idempotency.Record{
		Key: idempotency.Key{Caller: "c", Value: key}, Fingerprint: []byte{0, 1, 255},
		Answer:    idempotency.Answer{Status: 201, Location: "/here/" + about.String(), ETag: `"1"`, Body: []byte(`{"a": 1}`)},
		CreatedAt: at, ExpiresAt: at.Add(time.Hour),
	}
}

func records(t *testing.T, s Store) {
	now := time.Now()
	it := New(t)
	r := record("k", now, it.ID)
	require.NoError(t, s.Create(t.Context(), it, r))
	got, err := s.Recorded(t.Context(), r.Key, now)
	require.NoError(t, err)
	require.Equal(t, *r, got)

	second := New(t)
	require.ErrorIs(t, s.Create(t.Context(), second, record("k", now, second.ID)), idempotency.ErrTaken)
	_, err = s.Get(t.Context(), second.ID)
	require.ErrorIs(t, err, widget.ErrNotFound, "no widget without its record")

	wrong := New(t, func(it *widget.Widget) { it.Name = "" })
	require.Error(t, s.Create(t.Context(), wrong, record("l", now, wrong.ID)))
	_, err = s.Recorded(t.Context(), idempotency.Key{Caller: "c", Value: "l"}, now)
	require.ErrorIs(t, err, idempotency.ErrNotFound, "no record without its widget")

	_, err = s.Recorded(t.Context(), idempotency.Key{Caller: "other", Value: "k"}, now)
	require.ErrorIs(t, err, idempotency.ErrNotFound, "each caller has its own keys")
}

func expiry(t *testing.T, s Store) {
	start := time.Now()
	later := start.Add(time.Hour)
	require.NoError(t, s.Create(t.Context(), New(t), record("k", start, uuid.New())))
	_, err := s.Recorded(t.Context(), idempotency.Key{Caller: "c", Value: "k"}, later)
	require.ErrorIs(t, err, idempotency.ErrNotFound)
	u := New(t)
	require.NoError(t, s.Create(t.Context(), u, record("k", later, u.ID)), "the key may be used anew")
	got, err := s.Recorded(t.Context(), idempotency.Key{Caller: "c", Value: "k"}, later)
	require.NoError(t, err)
	require.Equal(t, later.Add(time.Hour).UnixMicro(), got.ExpiresAt.UnixMicro())

	for i := range 5 {
		require.NoError(t, s.Create(t.Context(), New(t), record(fmt.Sprint(i), start, uuid.New())))
	}
	for _, want := range []int{3, 2, 0} {
		n, err := s.Purge(t.Context(), later, 3)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	_, err = s.Recorded(t.Context(), idempotency.Key{Caller: "c", Value: "k"}, later)
	require.NoError(t, err, "what has not expired stays")
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
	u := create(t, s, New(t))
	u.Version = 2
	var wg sync.WaitGroup
	errs := make([]error, 30)
	for i := range errs {
		mine := u
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

func cancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	u := New(t)
	require.ErrorIs(t, s.Create(ctx, u, record("k", time.Now(), u.ID)), context.Canceled)
	_, err := s.Get(t.Context(), u.ID)
	require.ErrorIs(t, err, widget.ErrNotFound)
	_, err = s.Recorded(t.Context(), idempotency.Key{Caller: "c", Value: "k"}, time.Now())
	require.ErrorIs(t, err, idempotency.ErrNotFound)
	create(t, s, u)
}
