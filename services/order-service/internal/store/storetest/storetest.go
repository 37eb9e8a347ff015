// Package storetest is the conformance test of order stores. Each store runs it in its own
// tests.
package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/fields"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/events/eventstest"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/keytest"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/order-service/internal/order"
)

// Store is the interface that this package tests.
type Store interface {
	Create(context.Context, order.Order, *idempotency.Record) error
	order.Store
	idempotency.Store
	events.Store
	events.Sink
}

// Run runs the tests. open returns an empty, migrated store, and closes it after the test.
func Run(t *testing.T, open func(*testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"every field is stored, and changed":            everyField,
		"what is stored is what is read":                readBack,
		"many that read at once each get their own":     readsBeside,
		"an update replaces only the version before it": updates,
		"a deletion deletes only the given version":     deletions,
		"a list is newest first and starts below an id": lists,
		"a list can be filtered by user and status":     filters,
		"a list can be filtered by time":                periods,
		"of many writers of the same version, one wins": writers,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	for name, test := range erasures {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	eventstest.Run(t, func(t *testing.T) eventstest.Store {
		s := open(t)
		version := func(id uuid.UUID, v int64) order.Order {
			return New(t, func(o *order.Order) { o.ID, o.Version = id, v })
		}
		return eventstest.Store{
			Store:  s,
			Create: func(ctx context.Context, id uuid.UUID) error { return s.Create(ctx, version(id, 1), nil) },
			Update: func(ctx context.Context, id uuid.UUID, v int64) error { return s.Update(ctx, version(id, v)) },
			Delete: s.Delete,
		}
	})
	keytest.Run(t, func(t *testing.T) keytest.Store {
		s := open(t)
		of := func(id uuid.UUID) order.Order { return New(t, func(it *order.Order) { it.ID = id }) }
		return keytest.Store{
			Store: s,
			Create: func(ctx context.Context, id uuid.UUID, record *idempotency.Record) error {
				return s.Create(ctx, of(id), record)
			},
			Refused: func(ctx context.Context, id uuid.UUID, record *idempotency.Record) error {
				o := New(t, func(o *order.Order) { o.ID, o.Status = id, "lost" })
				return s.Create(ctx, o, record)
			},
			Has: func(ctx context.Context, id uuid.UUID) bool {
				_, err := s.Get(ctx, id)
				return err == nil
			},
			Delete: s.Delete,
		}
	})
}

// New returns a new order, which is not stored.
func New(t testing.TB, change ...func(*order.Order)) order.Order {
	t.Helper()
	id, err := ids.New()
	require.NoError(t, err)
	now := time.Now().UTC().Truncate(time.Microsecond)
	o := order.Order{
		ID: id, UserID: uuid.New(), ShippingAddress: "1 Main St\n\"Springfield\" 😀", Status: order.Pending, Total: 299997, Version: 1, CreatedAt: now, UpdatedAt: now, ChangedBy: order.Customer,
		Items: []order.Item{{ProductID: "p'1", ProductName: "\\ 15″", Quantity: 3, Price: 99999}},
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

func create(t *testing.T, s Store, u order.Order) order.Order {
	t.Helper()
	require.NoError(t, s.Create(t.Context(), u, nil))
	return u
}

func readBack(t *testing.T, s Store) {
	many := make([]order.Item, order.MaxItems)
	for i := range many {
		many[i] = order.Item{ProductID: fmt.Sprint(i), ProductName: "P", Quantity: order.MaxQuantity, Price: order.MaxPrice}
	}
	for _, change := range []func(*order.Order){
		func(*order.Order) {},
		func(o *order.Order) { o.Total, o.Items[0].Price = 0, 0 },
		func(o *order.Order) { o.Total, o.Items[0].Price = 30, 10 },
		func(o *order.Order) { o.Total, o.Items = order.MaxTotal, many },
		func(o *order.Order) { o.Status = order.Cancelled },
	} {
		o := create(t, s, New(t, change))
		got, err := s.Get(t.Context(), o.ID)
		require.NoError(t, err)
		require.Equal(t, o, got)
	}
	_, err := s.Get(t.Context(), uuid.New())
	require.ErrorIs(t, err, order.ErrNotFound)
}

// everyField fails if a query misses a column. A new field of the type must be set and
// changed here.
func everyField(t *testing.T, s Store) {
	erased := time.Now().UTC().Truncate(time.Microsecond)
	isErased := func(o *order.Order) { o.ErasedAt = &erased }
	once := New(t, isErased)
	require.NoError(t, s.Create(t.Context(), once, record("k", time.Now(), once.ID)))
	for _, stored := range []order.Order{once, create(t, s, New(t, isErased))} {
		fields.RequireSet(t, stored)
		changed := New(t, func(o *order.Order) {
			o.ID, o.UserID, o.CreatedAt, o.UpdatedAt = stored.ID, stored.UserID, stored.CreatedAt, stored.UpdatedAt.Add(time.Second)
			o.Version, o.Status, o.ShippingAddress, o.Total = 2, order.Confirmed, "elsewhere", 15
			o.ErasedAt, o.ChangedBy = nil, order.Fulfilment
			o.Items = []order.Item{{ProductID: "q", ProductName: "Q", Quantity: 1, Price: 15}}
		})
		fields.RequireDiffer(t, stored, changed, "ID", "UserID", "CreatedAt")
		for _, want := range []order.Order{stored, changed} {
			if want.Version > 1 {
				require.NoError(t, s.Update(t.Context(), want))
			}
			got, err := s.Get(t.Context(), want.ID)
			require.NoError(t, err)
			require.Equal(t, want, got)
			listed, err := s.List(t.Context(), order.Filter{}, page.First(10))
			require.NoError(t, err)
			require.Contains(t, listed.Items, want)
		}
	}
}

// readsBeside runs concurrent callers, each of which changes and reads its own row, and reads
// a shared one and a missing one.
func readsBeside(t *testing.T, s Store) {
	shared := create(t, s, New(t))
	var callers sync.WaitGroup
	for range 32 {
		o := create(t, s, New(t))
		callers.Go(func() {
			for n := range 10 {
				o.Version++
				o.ShippingAddress = fmt.Sprint(n)
				assert.NoError(t, s.Update(t.Context(), o))
				got, err := s.Get(t.Context(), o.ID)
				assert.NoError(t, err)
				assert.Equal(t, o, got, "what was written before is seen")
				got, err = s.Get(t.Context(), shared.ID)
				assert.NoError(t, err)
				assert.Equal(t, shared, got)
				_, err = s.Get(t.Context(), uuid.New())
				assert.ErrorIs(t, err, order.ErrNotFound)
			}
		})
	}
	callers.Wait()
}

func updates(t *testing.T, s Store) {
	o := create(t, s, New(t))
	o.Version, o.Status, o.ShippingAddress, o.Total = 2, order.Confirmed, "elsewhere", 15
	o.Items = []order.Item{{ProductID: "q", ProductName: "Q", Quantity: 1, Price: 15}}
	o.UpdatedAt = o.UpdatedAt.Add(time.Second)
	require.NoError(t, s.Update(t.Context(), o))
	got, err := s.Get(t.Context(), o.ID)
	require.NoError(t, err)
	require.Equal(t, o, got)

	require.ErrorIs(t, s.Update(t.Context(), o), order.ErrStale, "again")
	o.Version = 4
	require.ErrorIs(t, s.Update(t.Context(), o), order.ErrStale, "one too many")
	other := New(t, func(o *order.Order) { o.Version = 2 })
	require.ErrorIs(t, s.Update(t.Context(), other), order.ErrStale, "never there")
}

func deletions(t *testing.T, s Store) {
	u := create(t, s, New(t))
	require.ErrorIs(t, s.Delete(t.Context(), u.ID, 2), order.ErrStale)
	require.NoError(t, s.Delete(t.Context(), u.ID, 1))
	require.ErrorIs(t, s.Delete(t.Context(), u.ID, 1), order.ErrStale)
	_, err := s.Get(t.Context(), u.ID)
	require.ErrorIs(t, err, order.ErrNotFound)
}

func lists(t *testing.T, s Store) {
	got, err := s.List(t.Context(), order.Filter{}, page.First(10))
	require.NoError(t, err)
	require.Empty(t, got.Items)
	var want []order.Order
	for range 5 {
		want = append(want, create(t, s, New(t)))
	}
	slices.Reverse(want)
	got, err = s.List(t.Context(), order.Filter{}, page.First(3))
	require.NoError(t, err)
	require.Equal(t, want[:3], got.Items)
	require.NotEmpty(t, got.Next, "there is more")
	got, err = s.List(t.Context(), order.Filter{}, page.Request{Before: want[2].ID, Limit: 10})
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
	people := []uuid.UUID{uuid.New(), uuid.New()}
	all := make([]order.Order, 0, 12)
	for i := range 12 {
		all = append(all, create(t, s, New(t, func(o *order.Order) {
			o.UserID = people[i%2]
			o.Status = []order.Status{order.Pending, order.Shipped, order.Cancelled}[i%3]
		})))
	}
	slices.Reverse(all)
	shipped, pending, nobody := order.Shipped, order.Pending, uuid.Nil
	for _, f := range []order.Filter{{}, {UserID: &people[0]}, {Status: &shipped}, {UserID: &people[1], Status: &pending}, {UserID: &nobody}} {
		var want []order.Order
		for _, o := range all[3:] {
			if (f.UserID == nil || *f.UserID == o.UserID) && (f.Status == nil || *f.Status == o.Status) {
				want = append(want, o)
			}
		}
		got, err := s.List(t.Context(), f, page.Request{Before: all[2].ID, Limit: 20})
		require.NoError(t, err)
		require.ElementsMatch(t, want, got.Items)
		require.True(t, slices.IsSortedFunc(got.Items, func(a, b order.Order) int { return -slices.Compare(a.ID[:], b.ID[:]) }))
	}
}

// periods tests that periods use the times in ids: earlier releases set created_at slightly
// later.
func periods(t *testing.T, s Store) {
	user := uuid.New()
	var all []order.Order
	for i := range 8 {
		all = append(all, create(t, s, New(t, func(o *order.Order) {
			if i%2 == 0 {
				o.UserID, o.Status = user, order.Shipped
			}
			o.CreatedAt = ids.Time(o.ID).Add(time.Duration(i) * 100 * time.Microsecond)
		})))
	}
	slices.Reverse(all)
	far := func(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	bounds := []*time.Time{nil}
	for _, at := range []time.Time{far(0), far(1), far(1969), all[1].CreatedAt, all[4].CreatedAt, all[4].CreatedAt.Add(1), all[7].CreatedAt, far(9999), far(10000)} {
		bounds = append(bounds, &at)
	}
	shipped := order.Shipped
	for _, f := range []order.Filter{{}, {UserID: &user}, {Status: &shipped}, {UserID: &user, Status: &shipped}} {
		for _, after := range bounds {
			for _, before := range bounds {
				f.Created = page.Period{After: after, Before: before}
				want := slices.DeleteFunc(slices.Clone(all), func(o order.Order) bool {
					return f.UserID != nil && o.UserID != user || f.Status != nil && o.Status != shipped || !f.Created.Includes(ids.Time(o.ID))
				})
				got, err := s.List(t.Context(), f, page.First(20))
				require.NoError(t, err)
				require.ElementsMatch(t, want, got.Items)
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
		mine.ShippingAddress = fmt.Sprint("writer ", i)
		wg.Go(func() { errs[i] = s.Update(context.Background(), mine) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, order.ErrStale)
	}
	require.Equal(t, 1, won)
}
