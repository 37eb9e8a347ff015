// Package storetest is the conformance test of user stores. Each store runs it in its own
// tests.
package storetest

import (
	"bytes"
	"cmp"
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
	"github.com/example/microservices/services/user-service/internal/user"
)

// Store is the interface that this package tests.
type Store interface {
	Create(context.Context, user.User, *idempotency.Record) error
	user.Store
	idempotency.Store
	events.Store
	events.Consumers
}

// Run runs the tests. open returns an empty, migrated store, and closes it after the test.
func Run(t *testing.T, open func(*testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"every field is stored, and changed":            everyField,
		"what is stored is what is read":                readBack,
		"many that read at once each get their own":     readsBeside,
		"an address is unique, also when it is changed": uniqueEmail,
		"an update replaces only the version before it": updates,
		"a deletion deletes only the given version":     deletions,
		"a list is newest first and starts below an id": lists,
		"a user is found by its address":                byEmail,
		"of some ids, those that users have are found":  existing,
		"a list by time is newest first":                byTime,
		"an id is taken once":                           taken,
		"of many writers of the same version, one wins": writers,
		"an event says which fields changed":            says,
		"an id is not used again":                       usedOnce,
		"an erasure is complete when all are done":      erasure,
		"many deletions are acknowledged in batches":    batches,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	eventstest.Run(t, func(t *testing.T) eventstest.Store {
		s := open(t)
		version := func(id uuid.UUID, v int64) user.User {
			return New(t, func(u *user.User) { u.ID, u.Version = id, v })
		}
		return eventstest.Store{
			Store:  s,
			Create: func(ctx context.Context, id uuid.UUID) error { return s.Create(ctx, version(id, 1), nil) },
			Update: func(ctx context.Context, id uuid.UUID, v int64) error { return s.Update(ctx, version(id, v)) },
			Delete: s.Delete, KeepsDeleted: true,
		}
	})
	keytest.Run(t, func(t *testing.T) keytest.Store {
		s := open(t)
		of := func(id uuid.UUID) user.User { return New(t, func(it *user.User) { it.ID = id }) }
		return keytest.Store{
			Store: s,
			Create: func(ctx context.Context, id uuid.UUID, record *idempotency.Record) error {
				return s.Create(ctx, of(id), record)
			},
			Refused: func(ctx context.Context, id uuid.UUID, record *idempotency.Record) error {
				first := create(t, s, New(t))
				return s.Create(ctx, New(t, func(u *user.User) { u.ID, u.Email = id, first.Email }), record)
			},
			Has: func(ctx context.Context, id uuid.UUID) bool {
				_, err := s.Get(ctx, id)
				return err == nil
			},
			Delete: s.Delete,
		}
	})
}

// New returns a new user, who is not stored.
func New(t testing.TB, change ...func(*user.User)) user.User {
	t.Helper()
	id, err := ids.New()
	require.NoError(t, err)
	age := 36
	now := time.Now().UTC().Truncate(time.Microsecond)
	u := user.User{ID: id, Name: "Ada 😀 O'Neil", Email: email(t, id.String()+"@Example.com"), Age: &age, Version: 1, CreatedAt: now, UpdatedAt: now}
	for _, f := range change {
		f(&u)
	}
	return u
}

func email(t testing.TB, s string) user.Email {
	t.Helper()
	e, err := user.ParseEmail(s)
	require.NoError(t, err)
	return e
}

func create(t *testing.T, s Store, u user.User) user.User {
	t.Helper()
	require.NoError(t, s.Create(t.Context(), u, nil))
	return u
}

func readBack(t *testing.T, s Store) {
	for _, age := range []*int{nil, ptr(0), ptr(150)} {
		u := create(t, s, New(t, func(u *user.User) { u.Age = age }))
		got, err := s.Get(t.Context(), u.ID)
		require.NoError(t, err)
		require.Equal(t, u, got)
	}
	_, err := s.Get(t.Context(), uuid.New())
	require.ErrorIs(t, err, user.ErrNotFound)
}

func existing(t *testing.T, s Store) {
	a, b, deleted := create(t, s, New(t)), create(t, s, New(t)), create(t, s, New(t))
	require.NoError(t, s.Delete(t.Context(), deleted.ID, deleted.Version))
	got, err := s.Existing(t.Context(), []uuid.UUID{a.ID, uuid.New(), deleted.ID, b.ID})
	require.NoError(t, err)
	require.ElementsMatch(t, []uuid.UUID{a.ID, b.ID}, got)
	got, err = s.Existing(t.Context(), []uuid.UUID{uuid.New()})
	require.NoError(t, err)
	require.Empty(t, got)
}

// everyField fails if a query misses a column. A new field of the type must be set and
// changed here.
func everyField(t *testing.T, s Store) {
	once := New(t)
	require.NoError(t, s.Create(t.Context(), once, record("k", time.Now(), once.ID)))
	for _, stored := range []user.User{once, create(t, s, New(t))} {
		fields.RequireSet(t, stored)
		changed := New(t, func(u *user.User) {
			u.ID, u.CreatedAt, u.UpdatedAt = stored.ID, stored.CreatedAt, stored.UpdatedAt.Add(time.Second)
			u.Version, u.Name, u.Age = 2, "Grace", ptr(37)
		})
		fields.RequireDiffer(t, stored, changed, "ID", "CreatedAt")
		for _, want := range []user.User{stored, changed} {
			if want.Version > 1 {
				require.NoError(t, s.Update(t.Context(), want))
			}
			got, err := s.Get(t.Context(), want.ID)
			require.NoError(t, err)
			require.Equal(t, want, got)
			listed, err := s.List(t.Context(), page.First(10))
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
		u := create(t, s, New(t))
		callers.Go(func() {
			for n := range 10 {
				u.Version++
				u.Name = fmt.Sprint(n)
				assert.NoError(t, s.Update(t.Context(), u))
				got, err := s.Get(t.Context(), u.ID)
				assert.NoError(t, err)
				assert.Equal(t, u, got, "what was written before is seen")
				got, err = s.Get(t.Context(), shared.ID)
				assert.NoError(t, err)
				assert.Equal(t, shared, got)
				_, err = s.Get(t.Context(), uuid.New())
				assert.ErrorIs(t, err, user.ErrNotFound)
			}
		})
	}
	callers.Wait()
}

func uniqueEmail(t *testing.T, s Store) {
	ada := create(t, s, New(t, func(u *user.User) { u.Email = email(t, "ada@example.com") }))
	require.ErrorIs(t, s.Create(t.Context(), New(t, func(u *user.User) { u.Email = email(t, "ADA@example.com") }), nil), user.ErrEmailTaken)
	grace := create(t, s, New(t))
	grace.Version, grace.Email = 2, email(t, "Ada@Example.com")
	require.ErrorIs(t, s.Update(t.Context(), grace), user.ErrEmailTaken)
	ada.Version, ada.Email = 2, email(t, "ADA@example.com")
	require.NoError(t, s.Update(t.Context(), ada), "its own address is not taken")
	require.NoError(t, s.Delete(t.Context(), ada.ID, 2))
	require.NoError(t, s.Update(t.Context(), grace), "free again")
}

func updates(t *testing.T, s Store) {
	u := create(t, s, New(t))
	u.Version, u.Name, u.Age = 2, "Grace", nil
	u.UpdatedAt = u.UpdatedAt.Add(time.Second)
	require.NoError(t, s.Update(t.Context(), u))
	got, err := s.Get(t.Context(), u.ID)
	require.NoError(t, err)
	require.Equal(t, u, got)

	require.ErrorIs(t, s.Update(t.Context(), u), user.ErrStale, "again")
	u.Version = 4
	require.ErrorIs(t, s.Update(t.Context(), u), user.ErrStale, "one too many")
	other := New(t, func(u *user.User) { u.Version = 2 })
	require.ErrorIs(t, s.Update(t.Context(), other), user.ErrStale, "never there")
}

func deletions(t *testing.T, s Store) {
	u := create(t, s, New(t))
	require.ErrorIs(t, s.Delete(t.Context(), u.ID, 2), user.ErrStale)
	require.NoError(t, s.Delete(t.Context(), u.ID, 1))
	require.ErrorIs(t, s.Delete(t.Context(), u.ID, 1), user.ErrStale)
	_, err := s.Get(t.Context(), u.ID)
	require.ErrorIs(t, err, user.ErrNotFound)
}

func lists(t *testing.T, s Store) {
	got, err := s.List(t.Context(), page.First(10))
	require.NoError(t, err)
	require.Empty(t, got.Items)
	var want []user.User
	for range 5 {
		want = append(want, create(t, s, New(t)))
	}
	slices.Reverse(want)
	got, err = s.List(t.Context(), page.First(3))
	require.NoError(t, err)
	require.Equal(t, want[:3], got.Items)
	require.NotEmpty(t, got.Next, "there is more")
	got, err = s.List(t.Context(), page.Request{Before: want[2].ID, Limit: 10})
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
		require.ErrorIs(t, err, user.ErrStale)
	}
	require.Equal(t, 1, won)
}

func ptr[T any](v T) *T { return &v }

func byEmail(t *testing.T, s Store) {
	u := create(t, s, New(t, func(u *user.User) { u.Email = email(t, "Ada@Bücher.example") }))
	create(t, s, New(t))
	got, err := s.GetByEmail(t.Context(), email(t, "aDA@xn--bcher-kva.example").Key())
	require.NoError(t, err)
	require.Equal(t, u, got)
	_, err = s.GetByEmail(t.Context(), "bob@example.com")
	require.ErrorIs(t, err, user.ErrNotFound)
}

// byTime tests lists by creation time, with ids that contain no time, and equal times.
func byTime(t *testing.T, s Store) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC)
	var all []user.User
	for i := range 12 {
		all = append(all, create(t, s, New(t, func(u *user.User) {
			u.ID, u.CreatedAt = uuid.New(), start.Add(time.Duration(i/3)*time.Microsecond)
		})))
	}
	slices.SortFunc(all, func(a, b user.User) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), bytes.Compare(b.ID[:], a.ID[:]))
	})
	for _, after := range []time.Time{{}, start.Add(-time.Microsecond), start, start.Add(2 * time.Microsecond), start.Add(3 * time.Microsecond)} {
		for _, limit := range []int{1, 2, 5, 100} {
			var want, seen []user.User
			for _, u := range all {
				if u.CreatedAt.After(after) {
					want = append(want, u)
				}
			}
			for request := page.FirstByTime(limit); request.Limit > 0; {
				got, err := s.ListByTime(t.Context(), after, request)
				require.NoError(t, err)
				require.LessOrEqual(t, len(got.Items), limit)
				seen = append(seen, got.Items...)
				request.Limit = 0
				if got.Next != "" {
					request, err = page.After(got.Next, page.FirstByTime(limit))
					require.NoError(t, err)
				}
			}
			require.Equal(t, want, seen)
		}
	}
	got, err := s.ListByTime(t.Context(), time.Time{}, page.Request{At: start.Add(time.Microsecond), Limit: 100})
	require.NoError(t, err)
	require.Equal(t, all[9:], got.Items, "nothing is below the least id")
}

func taken(t *testing.T, s Store) {
	first := create(t, s, New(t))
	second := New(t)
	second.ID = first.ID
	require.ErrorIs(t, s.Create(t.Context(), second, nil), user.ErrExists)
	require.ErrorIs(t, s.Create(t.Context(), second, record("k", time.Now(), second.ID)), user.ErrExists)
	_, err := s.Recorded(t.Context(), idempotency.Key{Caller: "c", Value: "k"}, time.Now())
	require.ErrorIs(t, err, idempotency.ErrNotFound, "no record without its user")
	got, err := s.Get(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, first, got)
}
