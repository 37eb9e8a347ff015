package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/fields"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/events/eventstest"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/order-service/internal/order"
)

// erasures tests what the deletion of a user does to orders.
var erasures = map[string]func(*testing.T, Store){
	"a deleted user's orders are cancelled and have no address":  erase,
	"a deleted user gets no more orders":                         eraseFirst,
	"whoever orders while the user is deleted has no open order": eraseBeside,
	"the cursor moves with the effect, from where it was":        follow,
	"whoever has many orders is erased in batches":               eraseMany,
	"an erasure that was late has the time at which it was made": eraseLate,
	"an event says what changed, and who did it":                 says,
}

const source = "user-service"

func deletion(user uuid.UUID) *events.Event {
	return &events.Event{Subject: user, Type: events.Deleted, Time: time.Now().UTC().Truncate(time.Millisecond)}
}

func in(user uuid.UUID, s order.Status) func(*order.Order) {
	return func(o *order.Order) { o.UserID, o.Status = user, s }
}

func erase(t *testing.T, s Store) {
	user, other := uuid.New(), create(t, s, New(t))
	want := map[order.Status]order.Status{
		order.Pending: order.Cancelled, order.Confirmed: order.Cancelled, order.Shipped: order.Shipped, order.Delivered: order.Delivered, order.Cancelled: order.Cancelled,
	}
	before := map[uuid.UUID]order.Order{}
	for status := range want {
		o := New(t, in(user, status))
		require.NoError(t, s.Create(t.Context(), o, record(string(status), time.Now(), o.ID)))
		before[o.ID] = o
	}
	e := deletion(user)
	require.NoError(t, s.Follow(t.Context(), source, events.Cursor{}, events.Cursor{Turn: 1, Position: 1}, e))
	for id, was := range before {
		o, err := s.Get(t.Context(), id)
		require.NoError(t, err)
		if was.Status == order.Pending {
			fields.RequireErased(t, was, o, "ID", "UserID", "Items", "Total", "CreatedAt")
		}
		was.Status, was.ShippingAddress, was.ChangedBy, was.Version = want[was.Status], order.ErasedAddress, order.Erasure, 2
		was.ErasedAt, was.UpdatedAt = o.ErasedAt, o.UpdatedAt
		require.Equal(t, was, o)
		require.False(t, o.ErasedAt.Before(e.Time))
		require.False(t, o.UpdatedAt.Before(*o.ErasedAt))
		_, err = s.Recorded(t.Context(), record(string(before[id].Status), time.Now(), id).Key, time.Now())
		require.ErrorIs(t, err, idempotency.ErrNotFound)
	}
	untouched, err := s.Get(t.Context(), other.ID)
	require.NoError(t, err)
	require.Equal(t, other, untouched)
	require.NoError(t, s.Follow(t.Context(), source, events.Cursor{Turn: 1, Position: 1}, events.Cursor{Turn: 1, Position: 2}, e), "again")
	for id := range before {
		o, err := s.Get(t.Context(), id)
		require.NoError(t, err)
		require.EqualValues(t, 2, o.Version, "once")
	}
}

func eraseFirst(t *testing.T, s Store) {
	user := uuid.New()
	require.NoError(t, s.Follow(t.Context(), source, events.Cursor{}, events.Cursor{Turn: 1, Position: 1}, deletion(user)))
	o := New(t, in(user, order.Pending))
	require.ErrorIs(t, s.Create(t.Context(), o, nil), order.ErrUserUnknown)
	key := record("k", time.Now(), o.ID)
	require.ErrorIs(t, s.Create(t.Context(), o, key), order.ErrUserUnknown)
	_, err := s.Recorded(t.Context(), key.Key, time.Now())
	require.ErrorIs(t, err, idempotency.ErrNotFound)
	require.NoError(t, s.Create(t.Context(), New(t), nil))
	eventstest.All(t, s, 1, 100)
}

// eraseBeside deletes a user while orders are created for it.
func eraseBeside(t *testing.T, s Store) {
	user := uuid.New()
	var wg sync.WaitGroup
	begun := make(chan struct{})
	for i := range 8 {
		wg.Go(func() {
			for n := range 20 {
				err := s.Create(t.Context(), New(t, in(user, order.Pending)), nil)
				if err != nil {
					require.ErrorIs(t, err, order.ErrUserUnknown)
				}
				if i == 0 && n == 2 {
					close(begun)
				}
			}
		})
	}
	<-begun
	require.NoError(t, s.Follow(t.Context(), source, events.Cursor{}, events.Cursor{Turn: 1, Position: 1}, deletion(user)))
	wg.Wait()
	for _, status := range []order.Status{order.Pending, order.Confirmed} {
		active, err := s.List(t.Context(), order.Filter{UserID: &user, Status: &status}, page.First(100))
		require.NoError(t, err)
		require.Empty(t, active.Items)
	}
}

func follow(t *testing.T, s Store) {
	at := func() events.Cursor {
		c, err := s.Followed(t.Context(), source)
		require.NoError(t, err)
		return c
	}
	require.Equal(t, events.Cursor{}, at())
	one, two := events.Cursor{Turn: 0, Position: 7}, events.Cursor{Turn: 9, Position: 1}
	require.NoError(t, s.Follow(t.Context(), source, events.Cursor{}, one, nil))
	require.Equal(t, one, at())
	o := create(t, s, New(t))
	require.ErrorIs(t, s.Follow(t.Context(), source, events.Cursor{}, two, deletion(o.UserID)), events.ErrMoved)
	got, err := s.Get(t.Context(), o.ID)
	require.NoError(t, err)
	require.Equal(t, o, got, "nothing was done")
	require.NoError(t, s.Follow(t.Context(), source, one, two, deletion(o.UserID)))
	require.Equal(t, two, at())
	require.NoError(t, s.Follow(t.Context(), "another", events.Cursor{}, one, nil))
	require.Equal(t, two, at())
	require.NoError(t, s.Follow(t.Context(), source, two, events.Cursor{}, nil), "back to the beginning")
	require.Equal(t, events.Cursor{}, at())
	require.NoError(t, s.Follow(t.Context(), source, events.Cursor{}, one, nil))
	require.Equal(t, one, at())
}

func eraseMany(t *testing.T, s Store) {
	user := uuid.New()
	const n = order.EraseBatch + 20
	for range n {
		create(t, s, New(t, in(user, order.Pending)))
	}
	require.NoError(t, s.Follow(t.Context(), source, events.Cursor{}, events.Cursor{Turn: 1, Position: 1}, deletion(user)))
	cancelled, erased := order.Cancelled, 0
	for r := page.First(100); ; {
		p, err := s.List(t.Context(), order.Filter{UserID: &user, Status: &cancelled}, r)
		require.NoError(t, err)
		erased += len(p.Items)
		if p.Next == "" {
			break
		}
		r, err = page.After(p.Next, page.First(100))
		require.NoError(t, err)
	}
	require.Equal(t, n, erased)
}

// eraseLate applies a deletion that is older than the retention of events, as after a long
// outage: consumers of the orders must have the time to read what it changed.
func eraseLate(t *testing.T, s Store) {
	began := time.Now().UTC().Truncate(time.Millisecond)
	o := create(t, s, New(t, func(o *order.Order) { o.CreatedAt, o.UpdatedAt = began, began }))
	e := deletion(o.UserID)
	const retention = 30 * 24 * time.Hour
	e.Time = began.Add(-2 * retention)
	require.NoError(t, s.Follow(t.Context(), source, events.Cursor{}, events.Cursor{Turn: 1, Position: 1}, e))
	_, err := s.PurgeEvents(t.Context(), began.Add(-retention), 100)
	require.NoError(t, err)
	require.WithinRange(t, eventstest.All(t, s, 2, 100)[1].Time, began, time.Now())
	erased, err := s.Get(t.Context(), o.ID)
	require.NoError(t, err)
	require.WithinRange(t, *erased.ErasedAt, began, time.Now())
	require.WithinRange(t, erased.UpdatedAt, began, time.Now())
}

func says(t *testing.T, s Store) {
	o := create(t, s, New(t, in(uuid.New(), order.Pending)))
	stored := o
	change := func(f func(*order.Order)) {
		o.Version++
		o.Items = slices.Clone(o.Items)
		f(&o)
		require.NoError(t, s.Update(t.Context(), o))
	}
	change(func(o *order.Order) { o.ShippingAddress, o.ChangedBy = "there", order.Admin })
	change(func(o *order.Order) { o.Items[0].Quantity, o.Total, o.ChangedBy = 1, 99999, order.Customer })
	change(func(o *order.Order) { o.Status, o.ChangedBy = order.Confirmed, order.Fulfilment })
	// A new field must be changed above, separately, so that its name is expected below.
	fields.RequireDiffer(t, stored, o, "ID", "UserID", "CreatedAt", "UpdatedAt", "ErasedAt")
	require.NoError(t, s.Follow(t.Context(), source, events.Cursor{}, events.Cursor{Turn: 1, Position: 1}, deletion(o.UserID)))
	require.NoError(t, s.Delete(t.Context(), o.ID, 5))
	want := []string{
		`{"version":1,"user_id":%q,"to":"pending","by":"customer"}`,
		`{"version":2,"user_id":%q,"by":"admin","changed":["shipping_address"]}`,
		`{"version":3,"user_id":%q,"by":"customer","changed":["items"]}`,
		`{"version":4,"user_id":%q,"by":"fulfilment","changed":["status"],"from":"pending","to":"confirmed"}`,
		`{"version":5,"user_id":%q,"by":"erasure","changed":["status","shipping_address"],"from":"confirmed","to":"cancelled"}`,
		`{"version":6,"user_id":%q,"from":"cancelled"}`,
	}
	for i, e := range eventstest.All(t, s, len(want), 100) {
		require.True(t, json.Valid(e.Data))
		require.JSONEq(t, fmt.Sprintf(want[i], o.UserID), string(e.Data))
	}
}
