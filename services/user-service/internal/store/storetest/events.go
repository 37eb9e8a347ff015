package storetest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/fields"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/events/eventstest"
	"github.com/example/microservices/services/user-service/internal/user"
)

// says changes each field separately, and fails if a user's new field is missing in events.
func says(t *testing.T, s Store) {
	stored := create(t, s, New(t))
	other := New(t)
	age := 99
	changes := map[string]func(*user.User){
		"name":  func(u *user.User) { u.Name = "another" },
		"email": func(u *user.User) { u.Email = other.Email },
		"age":   func(u *user.User) { u.Age = &age },
	}
	changed := stored
	for field, change := range changes {
		change(&changed)
		changed.Version++
		require.NoError(t, s.Update(t.Context(), changed))
		all := eventstest.All(t, s, int(changed.Version), 100)
		require.JSONEq(t, fmt.Sprintf(`{"version":%d,"changed":[%q]}`, changed.Version, field), string(all[len(all)-1].Data))
	}
	fields.RequireDiffer(t, stored, changed, "ID", "CreatedAt", "UpdatedAt")
}

// usedOnce tests that an id is used once, also if a user is created while it is deleted.
func usedOnce(t *testing.T, s Store) {
	for range 20 {
		u := create(t, s, New(t))
		again := New(t, func(v *user.User) { v.ID = u.ID })
		var wg sync.WaitGroup
		var deleted, created error
		wg.Go(func() { deleted = s.Delete(t.Context(), u.ID, 1) })
		wg.Go(func() { created = s.Create(t.Context(), again, nil) })
		wg.Wait()
		require.NoError(t, deleted)
		require.ErrorIs(t, created, user.ErrExists)
		require.ErrorIs(t, s.Create(t.Context(), again, record("k"+u.ID.String(), time.Now(), u.ID)), user.ErrExists)
		_, err := s.Get(t.Context(), u.ID)
		require.ErrorIs(t, err, user.ErrNotFound)
	}
}

func erasure(t *testing.T, s Store) {
	gone, later, there := create(t, s, New(t)), create(t, s, New(t)), create(t, s, New(t))
	for _, u := range []user.User{gone, later} {
		require.NoError(t, s.Delete(t.Context(), u.ID, 1))
	}
	all := eventstest.All(t, s, 5, 100)
	done := func(id uuid.UUID) map[string]*time.Time {
		e, deleted, err := s.Erasure(t.Context(), id)
		require.NoError(t, err)
		require.True(t, deleted)
		require.WithinDuration(t, time.Now(), e.DeletedAt, time.Minute)
		return e.Consumers
	}
	for _, id := range []uuid.UUID{there.ID, uuid.New()} {
		_, deleted, err := s.Erasure(t.Context(), id)
		require.NoError(t, err)
		require.False(t, deleted)
	}
	require.Empty(t, done(gone.ID))
	requireUnacknowledged := func(consumer string, want uuid.UUID) {
		t.Helper()
		at, exists, err := s.Unacknowledged(t.Context(), consumer)
		require.NoError(t, err)
		require.Equal(t, want != uuid.Nil, exists)
		if exists {
			e, _, err := s.Erasure(t.Context(), want)
			require.NoError(t, err)
			require.Equal(t, e.DeletedAt, at)
		}
	}
	requireUnacknowledged("a", gone.ID)
	registry := prometheus.NewRegistry()
	measure := events.ConsumerList{"a": "", "itself": ""}.Measure(s, "itself", registry)
	measured := func() float64 {
		t.Helper()
		found, err := registry.Gather()
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Len(t, found[0].GetMetric(), 1, "none for the service itself")
		return found[0].GetMetric()[0].GetGauge().GetValue()
	}
	age := func() float64 {
		t.Helper()
		require.NoError(t, measure(t.Context()))
		return measured()
	}
	require.True(t, math.IsNaN(measured()), "not known yet")
	require.Positive(t, age())
	ended, end := context.WithCancel(t.Context())
	end()
	require.Error(t, measure(ended))
	require.True(t, math.IsNaN(measured()), "not known any more")
	first, second := all[len(all)-2].Cursor, all[len(all)-1].Cursor
	at := time.Now().UTC().Truncate(time.Millisecond)
	require.NoError(t, s.Acknowledge(t.Context(), "a", all[0].Cursor, at))
	require.Equal(t, map[string]*time.Time{"a": nil}, done(gone.ID))
	require.NoError(t, s.Acknowledge(t.Context(), "a", first, at))
	require.True(t, done(gone.ID)["a"].Equal(at))
	require.Nil(t, done(later.ID)["a"])
	requireUnacknowledged("a", later.ID)
	require.NoError(t, s.Acknowledge(t.Context(), "b", second, at))
	requireUnacknowledged("b", uuid.Nil)
	require.NoError(t, s.Acknowledge(t.Context(), "a", second, at.Add(time.Second)))
	require.True(t, done(gone.ID)["a"].Equal(at), "it stays")
	require.True(t, done(later.ID)["a"].Equal(at.Add(time.Second)))
	require.Zero(t, age())

	// A consumer restored from a backup moves its cursor back.
	require.NoError(t, s.Acknowledge(t.Context(), "a", first, at))
	require.NotNil(t, done(gone.ID)["a"])
	require.Nil(t, done(later.ID)["a"])
	require.NotNil(t, done(later.ID)["b"])

	// A cursor without an event is rejected. If it is an earlier one, of a consumer restored
	// from an old backup, what came after it isn't erased any more.
	none := second
	none.Position++
	require.ErrorIs(t, s.Acknowledge(t.Context(), "a", none, at), events.ErrGone)
	require.NotNil(t, done(gone.ID)["a"])
	none = all[0].Cursor
	none.Position--
	require.ErrorIs(t, s.Acknowledge(t.Context(), "c", none, at), events.ErrGone)
	require.NotContains(t, done(gone.ID), "c")
	require.ErrorIs(t, s.Acknowledge(t.Context(), "a", none, at), events.ErrGone)
	require.Nil(t, done(gone.ID)["a"])
	require.NotNil(t, done(gone.ID)["b"])
	require.NoError(t, s.Delete(t.Context(), there.ID, 1))
	require.Nil(t, done(there.ID)["a"])
	last := eventstest.All(t, s, 6, 100)
	require.NoError(t, s.Acknowledge(t.Context(), "a", last[len(last)-1].Cursor, at))
	require.NotNil(t, done(there.ID)["a"])
}

// batches: an acknowledgement of more deletions than a transaction records, up and down.
func batches(t *testing.T, s Store) {
	const n = 2*events.MaxAcknowledged + 1
	var gone []uuid.UUID
	for range n {
		u := create(t, s, New(t))
		require.NoError(t, s.Delete(t.Context(), u.ID, 1))
		gone = append(gone, u.ID)
	}
	all := eventstest.All(t, s, 2*n, 500)
	erased := func() (count int) {
		for _, id := range gone {
			e, _, err := s.Erasure(t.Context(), id)
			require.NoError(t, err)
			if e.Consumers["a"] != nil {
				count++
			}
		}
		return count
	}
	for _, want := range []int{n, 0, n, n - 1, events.MaxAcknowledged, events.MaxAcknowledged + 1, 1, 2 * events.MaxAcknowledged, 0} {
		c := events.Cursor{}
		if want > 0 {
			c = all[2*want-1].Cursor // each user is created and deleted
		}
		require.NoError(t, s.Acknowledge(t.Context(), "a", c, time.Now()))
		require.Equal(t, want, erased())
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Acknowledge(canceled, "a", all[1].Cursor, time.Now()), context.Canceled)
}
