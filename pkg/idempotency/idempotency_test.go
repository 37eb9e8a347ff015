package idempotency

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// store is a Store in memory. The real ones are tested where they are.
type store map[Key]Record

func (s store) Recorded(_ context.Context, key Key, now time.Time) (Record, error) {
	r, ok := s[key]
	if !ok || !r.ExpiresAt.After(now) {
		return Record{}, ErrNotFound
	}
	return r, nil
}

func (s store) Purge(_ context.Context, now time.Time, limit int) (int, error) {
	n := 0
	for key, r := range s {
		if n < limit && !r.ExpiresAt.After(now) {
			delete(s, key)
			n++
		}
	}
	return n, nil
}

// work is something to be done once.
func (s store) work(done *int) func(func(Answer) *Record) (Answer, error) {
	return func(seal func(Answer) *Record) (Answer, error) {
		*done++
		answer := Answer{Status: 201, Body: []byte{byte(*done)}}
		if r := seal(answer); r != nil {
			s[r.Key] = *r
		}
		return answer, nil
	}
}

// show lets whoever asks see an answer again.
func show(Answer) error { return nil }

func newOnce(s Store) *Once { return NewOnce(s, time.Hour, prometheus.NewRegistry()) }

func TestAKeyIsAnsweredOnce(t *testing.T) {
	s := store{}
	once := newOnce(s)
	done := 0
	first, replayed, err := once.Do(t.Context(), Key{Value: "k"}, []byte("body"), show, s.work(&done))
	require.NoError(t, err)
	require.False(t, replayed)
	again, replayed, err := once.Do(t.Context(), Key{Value: "k"}, []byte("body"), show, s.work(&done))
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, first, again)
	_, replayed, err = once.Do(t.Context(), Key{Value: "k"}, []byte("other"), show, s.work(&done))
	require.ErrorIs(t, err, ErrMismatch)
	require.False(t, replayed)
	require.InDelta(t, 1, testutil.ToFloat64(once.requests.fresh), 0)
	require.InDelta(t, 1, testutil.ToFloat64(once.requests.replayed), 0)
	require.InDelta(t, 1, testutil.ToFloat64(once.requests.conflict), 0)
	require.Equal(t, 1, done)

	_, _, err = once.Do(t.Context(), Key{Caller: "other", Value: "k"}, []byte("other"), show, s.work(&done))
	require.NoError(t, err, "each caller has its own keys")
	_, _, err = once.Do(t.Context(), Key{}, nil, show, s.work(&done))
	require.NoError(t, err, "no key, no record")
	require.Equal(t, 3, done)
	require.Len(t, s, 2)
}

func TestAFailureIsNotRecorded(t *testing.T) {
	s := store{}
	once := newOnce(s)
	broken := errors.New("broken")
	_, _, err := once.Do(t.Context(), Key{Value: "k"}, nil, show, func(func(Answer) *Record) (Answer, error) { return Answer{}, broken })
	require.ErrorIs(t, err, broken)
	done := 0
	_, _, err = once.Do(t.Context(), Key{Value: "k"}, nil, show, s.work(&done))
	require.NoError(t, err)
	require.Equal(t, 1, done)
}

// TestAnotherProcessWasFaster: the store has the key when the effect is to be
// stored, though it had not when it was looked up.
func TestAnotherProcessWasFaster(t *testing.T) {
	s := store{}
	here, there := newOnce(s), newOnce(s)
	done := 0
	answer, replayed, err := here.Do(t.Context(), Key{Value: "k"}, []byte("b"), show, func(func(Answer) *Record) (Answer, error) {
		_, _, err := there.Do(t.Context(), Key{Value: "k"}, []byte("b"), show, s.work(&done))
		require.NoError(t, err)
		return Answer{}, ErrTaken
	})
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, []byte{1}, answer.Body)
}

func TestASecondInFlightIsRefused(t *testing.T) {
	s := store{}
	once := newOnce(s)
	done := 0
	_, _, err := once.Do(t.Context(), Key{Value: "k"}, nil, show, func(seal func(Answer) *Record) (Answer, error) {
		_, _, err := once.Do(t.Context(), Key{Value: "k"}, nil, show, s.work(&done))
		require.ErrorIs(t, err, ErrInFlight)
		_, _, err = once.Do(t.Context(), Key{Value: "other"}, nil, show, s.work(&done))
		require.NoError(t, err)
		return s.work(&done)(seal)
	})
	require.NoError(t, err)
	require.Equal(t, 2, done)
}

// TestManyMayHaveAnAnswerAtOnce: only the first of all is in anybody's way.
func TestManyMayHaveAnAnswerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store{}
		once := newOnce(s)
		done := 0
		first, _, err := once.Do(t.Context(), Key{Value: "k"}, nil, show, s.work(&done))
		require.NoError(t, err)
		open := make(chan struct{})
		once.store = gate{s, open}
		for range 20 {
			go func() {
				again, replayed, err := once.Do(t.Context(), Key{Value: "k"}, nil, show, s.work(&done))
				assert.NoError(t, err)
				assert.True(t, replayed)
				assert.Equal(t, first, again)
			}()
		}
		synctest.Wait()
		close(open)
		synctest.Wait()
		require.Equal(t, 1, done)
	})
}

// gate is a store that answers when it is open.
type gate struct {
	store
	open chan struct{}
}

func (g gate) Recorded(ctx context.Context, key Key, now time.Time) (Record, error) {
	<-g.open
	return g.store.Recorded(ctx, key, now)
}

func TestAnAnswerIsShownAgainToWhoMayStillSeeIt(t *testing.T) {
	s := store{}
	once := newOnce(s)
	done := 0
	first, _, err := once.Do(t.Context(), Key{Value: "k"}, nil, show, s.work(&done))
	require.NoError(t, err)
	refused := errors.New("refused")
	_, replayed, err := once.Do(t.Context(), Key{Value: "k"}, nil, func(a Answer) error {
		require.Equal(t, first, a)
		return refused
	}, s.work(&done))
	require.ErrorIs(t, err, refused)
	require.False(t, replayed)
	require.InDelta(t, 0, testutil.ToFloat64(once.requests.replayed), 0)
	require.InDelta(t, 1, testutil.ToFloat64(once.requests.failed), 0)
	require.Equal(t, 1, done)
}

func TestAnErasedRecordKeepsItsKey(t *testing.T) {
	s := store{}
	once := newOnce(s)
	done := 0
	_, _, err := once.Do(t.Context(), Key{Value: "k"}, []byte("body"), show, s.work(&done))
	require.NoError(t, err)
	r := s[Key{Value: "k"}]
	s[r.Key] = Record{Key: r.Key, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt}
	for _, body := range []string{"body", "another"} {
		_, replayed, err := once.Do(t.Context(), Key{Value: "k"}, []byte(body), show, s.work(&done))
		require.ErrorIs(t, err, ErrGone)
		require.False(t, replayed)
	}
	require.InDelta(t, 2, testutil.ToFloat64(once.requests.conflict), 0)
	require.Equal(t, 1, done, "no second one is made")
}

func TestKeysExpireAndArePurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store{}
		once := newOnce(s)
		done := 0
		for range 2 {
			_, replayed, err := once.Do(t.Context(), Key{Value: "k"}, nil, show, s.work(&done))
			require.NoError(t, err)
			require.False(t, replayed)
			time.Sleep(time.Hour)
		}
		require.Equal(t, 2, done)
		require.NoError(t, once.Purge(t.Context()))
		require.Empty(t, s)
	})
}
