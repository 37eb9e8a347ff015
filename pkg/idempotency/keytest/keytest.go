// Package keytest tests how a service's store keeps idempotency records together with its
// resources.
package keytest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/idempotency"
)

// Store is an empty, migrated store under test.
type Store struct {
	idempotency.Store
	// Create adds a resource and a record, both or neither.
	Create func(ctx context.Context, id uuid.UUID, record *idempotency.Record) error
	// Refused is Create with a resource that the store rejects.
	Refused func(ctx context.Context, id uuid.UUID, record *idempotency.Record) error
	// Has reports whether a resource exists.
	Has func(ctx context.Context, id uuid.UUID) bool
	// Delete deletes a version of a resource. The first version is 1.
	Delete func(ctx context.Context, id uuid.UUID, version int64) error
}

// Run runs the tests.
func Run(t *testing.T, open func(*testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"a record and its resource are stored both or not": records,
		"a deletion erases the answers about the resource": erasure,
		"a record lives until it expires":                  expiry,
		"a caller that is gone leaves neither of them":     cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
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

func (s Store) requireRecorded(t *testing.T, want *idempotency.Record, at time.Time) {
	t.Helper()
	got, err := s.Recorded(t.Context(), want.Key, at)
	require.NoError(t, err)
	require.Equal(t, *want, got)
}

func records(t *testing.T, s Store) {
	now := time.Now()
	first, second, wrong := uuid.New(), uuid.New(), uuid.New()
	r := record("k", now, first)
	require.NoError(t, s.Create(t.Context(), first, r))
	s.requireRecorded(t, r, now)

	require.ErrorIs(t, s.Create(t.Context(), second, record("k", now, second)), idempotency.ErrTaken)
	require.False(t, s.Has(t.Context(), second), "no resource without its record")

	require.Error(t, s.Refused(t.Context(), wrong, record("l", now, wrong)))
	for _, none := range []idempotency.Key{{Caller: "c", Value: "l"}, {Caller: "other", Value: "k"}} {
		_, err := s.Recorded(t.Context(), none, now)
		require.ErrorIs(t, err, idempotency.ErrNotFound, "no record without its resource, and each caller has its own keys")
	}
}

// erasure: after a deletion, only the keys are left of the records, until they expire.
func erasure(t *testing.T, s Store) {
	now := time.Now()
	one, other := uuid.New(), uuid.New()
	r, kept := record("k", now, one), record("other", now, other)
	require.NoError(t, s.Create(t.Context(), one, r))
	require.NoError(t, s.Create(t.Context(), other, kept))
	require.Error(t, s.Delete(t.Context(), one, 2))
	s.requireRecorded(t, r, now) // a failed deletion erases nothing

	require.NoError(t, s.Delete(t.Context(), one, 1))
	got, err := s.Recorded(t.Context(), r.Key, now)
	require.NoError(t, err)
	require.True(t, got.Erased())
	require.Empty(t, got.Fingerprint)
	require.Equal(t, 410, got.Answer.Status)
	require.Empty(t, string(got.Answer.Body)+got.Answer.Location+got.Answer.ETag)
	require.Equal(t, []time.Time{r.CreatedAt, r.ExpiresAt}, []time.Time{got.CreatedAt, got.ExpiresAt})
	require.ErrorIs(t, s.Create(t.Context(), uuid.New(), r), idempotency.ErrTaken, "the key is taken")
	s.requireRecorded(t, kept, now)

	again := uuid.New()
	require.NoError(t, s.Create(t.Context(), again, record("k", r.ExpiresAt, again)), "until its time is up")
}

func expiry(t *testing.T, s Store) {
	start := time.Now()
	later := start.Add(time.Hour)
	create := func(key string, at time.Time) *idempotency.Record {
		id := uuid.New()
		r := record(key, at, id)
		require.NoError(t, s.Create(t.Context(), id, r))
		return r
	}
	old := create("k", start)
	_, err := s.Recorded(t.Context(), old.Key, later)
	require.ErrorIs(t, err, idempotency.ErrNotFound)
	anew := create("k", later)
	s.requireRecorded(t, anew, later)
	for i := range 5 {
		create(fmt.Sprint(i), start)
	}
	for _, want := range []int{3, 2, 0} {
		n, err := s.Purge(t.Context(), later, 3)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	s.requireRecorded(t, anew, later) // unexpired records stay
}

func cancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	id := uuid.New()
	r := record("k", time.Now(), id)
	require.ErrorIs(t, s.Create(ctx, id, r), context.Canceled)
	require.False(t, s.Has(t.Context(), id))
	_, err := s.Recorded(t.Context(), r.Key, time.Now())
	require.ErrorIs(t, err, idempotency.ErrNotFound)
	require.NoError(t, s.Create(t.Context(), id, r))
}
