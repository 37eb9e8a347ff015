// Package eventstest tests an events.Store on any database.
package eventstest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/events"
)

// Store is the store under test, and the functions that change its resources.
type Store struct {
	events.Store
	// Create adds a resource, Update changes it to the given version, and Delete deletes
	// the given version.
	Create func(ctx context.Context, id uuid.UUID) error
	Update func(ctx context.Context, id uuid.UUID, version int64) error
	Delete func(ctx context.Context, id uuid.UUID, version int64) error
	// KeepsDeleted: the store keeps deletions for ever.
	KeepsDeleted bool
}

// Run runs the tests, each on a new store.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"each change is an event, in the order of versions": changes,
		"what fails is no event":                            failures,
		"a reader gets each event once, page by page":       pages,
		"what happened to one resource is newest first":     one,
		"a reader beside many writers misses nothing":       beside,
		"old events are purged":                             purges,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// All reads the n existing events, at most limit at a time, and fails the test if a
// cursor goes back. It waits for PostgreSQL, which withholds an event while older
// transactions run in any database of the server.
func All(t testing.TB, s events.Store, n, limit int) (all []events.Event) {
	t.Helper()
	at := events.Cursor{}
	for end := time.Now().Add(time.Minute); len(all) < n && time.Now().Before(end); {
		found, err := s.EventsAfter(t.Context(), at, limit)
		require.NoError(t, err)
		require.LessOrEqual(t, len(found), limit)
		for _, e := range found {
			require.Positive(t, e.Cursor.Compare(at), "%s after %s", e.Cursor, at)
			at = e.Cursor
		}
		all = append(all, found...)
	}
	require.Len(t, all, n)
	more, err := s.EventsAfter(t.Context(), at, limit)
	require.NoError(t, err)
	require.Empty(t, more)
	return all
}

type short struct {
	Subject uuid.UUID
	Type    string
	Version int64
}

func shorten(all []events.Event) (s []short) {
	for _, e := range all {
		s = append(s, short{e.Subject, e.Type, e.Version})
	}
	return s
}

func changes(t *testing.T, s Store) {
	id, began := uuid.New(), time.Now().Add(-time.Second)
	require.NoError(t, s.Create(t.Context(), id))
	require.NoError(t, s.Update(t.Context(), id, 2))
	require.NoError(t, s.Update(t.Context(), id, 3))
	require.NoError(t, s.Delete(t.Context(), id, 3))
	all := All(t, s, 4, 100)
	require.Equal(t, []short{{id, events.Created, 1}, {id, events.Updated, 2}, {id, events.Updated, 3}, {id, events.Deleted, 4}}, shorten(all))
	require.WithinRange(t, all[3].Time, began, time.Now().Add(time.Second))
}

func failures(t *testing.T, s Store) {
	id := uuid.New()
	require.NoError(t, s.Create(t.Context(), id))
	require.Error(t, s.Create(t.Context(), id))
	require.Error(t, s.Update(t.Context(), id, 7))
	require.Error(t, s.Delete(t.Context(), id, 7))
	All(t, s, 1, 100)
}

func pages(t *testing.T, s Store) {
	var want []short
	for range 25 {
		id := uuid.New()
		require.NoError(t, s.Create(t.Context(), id))
		want = append(want, short{id, events.Created, 1})
	}
	var all []events.Event
	for _, limit := range []int{1, 7, 25, 100} {
		all = All(t, s, len(want), limit)
		require.Equal(t, want, shorten(all))
	}
	for _, c := range []events.Cursor{
		{Turn: 1 << 62, Position: 1 << 62},
		{Turn: all[0].Cursor.Turn, Position: all[0].Cursor.Position - 1},
	} {
		_, err := s.EventsAfter(t.Context(), c, 10)
		require.ErrorIs(t, err, events.ErrGone)
	}
	purge := func(before time.Time) {
		for n := 1; n > 0; {
			var err error
			n, err = s.PurgeEvents(t.Context(), before, 7)
			require.NoError(t, err)
		}
	}
	for !all[len(all)-1].Time.After(all[len(want)-1].Time) {
		require.NoError(t, s.Create(t.Context(), uuid.New()))
		all = All(t, s, len(all)+1, 100)
	}
	purge(all[len(all)-1].Time)
	expired := len(all) - 2
	_, err := s.EventsAfter(t.Context(), all[expired].Cursor, 10)
	require.NoError(t, err, "a reader that is at the last expired event has missed nothing")
	_, err = s.EventsAfter(t.Context(), all[expired-1].Cursor, 10)
	require.ErrorIs(t, err, events.ErrGone, "a reader that is behind it may have missed it")
	purge(time.Now().Add(time.Hour))
	last := len(all) - 1
	_, err = s.EventsAfter(t.Context(), all[last].Cursor, 10)
	require.NoError(t, err, "the last event is kept")
	_, err = s.EventsAfter(t.Context(), all[last-1].Cursor, 10)
	require.ErrorIs(t, err, events.ErrGone, "a reader that is behind may have missed events")
}

func one(t *testing.T, s Store) {
	id := uuid.New()
	require.NoError(t, s.Create(t.Context(), uuid.New()))
	require.NoError(t, s.Create(t.Context(), id))
	for v := range int64(4) {
		require.NoError(t, s.Update(t.Context(), id, v+2))
	}
	found, err := s.EventsOf(t.Context(), id, 1<<62, 3)
	require.NoError(t, err)
	require.Equal(t, []short{{id, events.Updated, 5}, {id, events.Updated, 4}, {id, events.Updated, 3}}, shorten(found))
	found, err = s.EventsOf(t.Context(), id, 3, 3)
	require.NoError(t, err)
	require.Equal(t, []short{{id, events.Updated, 2}, {id, events.Created, 1}}, shorten(found))
}

// beside reads while others write, and must get each event once.
func beside(t *testing.T, s Store) {
	const writers, each = 8, 25
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				id := uuid.New()
				if s.Create(t.Context(), id) != nil || s.Update(t.Context(), id, 2) != nil {
					t.Error("a write failed")
				}
			}
		})
	}
	all := All(t, s, 2*writers*each, 10)
	wg.Wait()
	versions := map[uuid.UUID][]int64{}
	for _, e := range all {
		versions[e.Subject] = append(versions[e.Subject], e.Version)
	}
	require.Len(t, versions, writers*each)
	for _, v := range versions {
		require.Equal(t, []int64{1, 2}, v)
	}
}

func purges(t *testing.T, s Store) {
	for range 3 {
		id := uuid.New()
		require.NoError(t, s.Create(t.Context(), id))
		require.NoError(t, s.Delete(t.Context(), id, 1))
	}
	n, err := s.PurgeEvents(t.Context(), time.Now().Add(-time.Hour), 100)
	require.NoError(t, err)
	require.Zero(t, n)
	n, err = s.PurgeEvents(t.Context(), time.Now().Add(time.Hour), 2)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	for n > 0 {
		n, err = s.PurgeEvents(t.Context(), time.Now().Add(time.Hour), 2)
		require.NoError(t, err)
	}
	if !s.KeepsDeleted {
		All(t, s, 1, 100)
		return
	}
	all := All(t, s, 4, 100)
	require.Equal(t, events.Created, all[2].Type, "the last expired event")
	require.False(t, slices.ContainsFunc(slices.Delete(all, 2, 3), func(e events.Event) bool { return e.Type != events.Deleted }))
}
