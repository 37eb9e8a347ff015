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

// store is a Store in memory. keytest tests the real ones.
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

// answer answers a request like an operation. done counts its effects.
func (s store) answer(t *testing.T, once *Once, key Key, body string, done *int) (_ Answer, replayed bool, _ error) {
	c, err := once.Claim(t.Context(), key, []byte(body))
	if err != nil {
		return Answer{}, false, err
	}
	defer c.Release()
	if !c.Replayed() {
		*done++
		a := Answer{Status: 201, Body: []byte{byte(*done)}}
		err = c.Resolve(t.Context(), a, s.put(c.Record(a)))
		if err != nil {
			return Answer{}, false, err
		}
	}
	return c.Answer(), c.Replayed(), nil
}

func (s store) put(r *Record) error {
	if r == nil {
		return nil
	}
	if old, taken := s[r.Key]; taken && old.ExpiresAt.After(r.CreatedAt) {
		return ErrTaken
	}
	s[r.Key] = *r
	return nil
}

func newOnce(s Store) *Once { return NewOnce(s, time.Hour, prometheus.NewRegistry()) }

func TestAKeyIsAnsweredOnce(t *testing.T) {
	s := store{}
	once := newOnce(s)
	done := 0
	first, replayed, err := s.answer(t, once, Key{Value: "k"}, "body", &done)
	require.NoError(t, err)
	require.False(t, replayed)
	again, replayed, err := s.answer(t, once, Key{Value: "k"}, "body", &done)
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, first, again)
	_, replayed, err = s.answer(t, once, Key{Value: "k"}, "other", &done)
	require.ErrorIs(t, err, ErrMismatch)
	require.False(t, replayed)
	require.InDelta(t, 1, testutil.ToFloat64(once.requests.fresh), 0)
	require.InDelta(t, 1, testutil.ToFloat64(once.requests.replayed), 0)
	require.InDelta(t, 1, testutil.ToFloat64(once.requests.conflict), 0)
	require.Equal(t, 1, done)

	_, _, err = s.answer(t, once, Key{Caller: "other", Value: "k"}, "other", &done)
	require.NoError(t, err, "each caller has its own keys")
	_, _, err = s.answer(t, once, Key{}, "", &done)
	require.NoError(t, err, "no key, no record")
	require.Equal(t, 3, done)
	require.Len(t, s, 2)
}

func TestAFailureIsNotRecorded(t *testing.T) {
	s := store{}
	once := newOnce(s)
	broken := errors.New("broken")
	c, err := once.Claim(t.Context(), Key{Value: "k"}, nil)
	require.NoError(t, err)
	require.ErrorIs(t, c.Resolve(t.Context(), Answer{}, broken), broken)
	c.Release()
	require.InDelta(t, 1, testutil.ToFloat64(once.requests.failed), 0)
	done := 0
	_, _, err = s.answer(t, once, Key{Value: "k"}, "", &done)
	require.NoError(t, err)
	require.Equal(t, 1, done)
}

// TestAnotherProcessTakesTheKeyFirst: the store gets the key after it was looked up, and before
// the effect is stored.
func TestAnotherProcessTakesTheKeyFirst(t *testing.T) {
	for body, want := range map[string]error{"b": nil, "another": ErrMismatch} {
		s := store{}
		here, there := newOnce(s), newOnce(s)
		done := 0
		c, err := here.Claim(t.Context(), Key{Value: "k"}, []byte("b"))
		require.NoError(t, err)
		require.False(t, c.Replayed())
		first, _, err := s.answer(t, there, Key{Value: "k"}, body, &done)
		require.NoError(t, err)
		mine := Answer{Status: 201, Body: []byte("mine")}
		err = c.Resolve(t.Context(), mine, s.put(c.Record(mine)))
		require.ErrorIs(t, err, want)
		if want == nil {
			require.True(t, c.Replayed())
			require.Equal(t, first, c.Answer())
		}
		c.Release()
	}
}

func TestASecondRequestInFlightIsRejected(t *testing.T) {
	s := store{}
	once := newOnce(s)
	done := 0
	c, err := once.Claim(t.Context(), Key{Value: "k"}, nil)
	require.NoError(t, err)
	for range 2 { // the rejected request doesn't release the key
		_, _, err = s.answer(t, once, Key{Value: "k"}, "", &done)
		require.ErrorIs(t, err, ErrInFlight)
	}
	_, _, err = s.answer(t, once, Key{Value: "other"}, "", &done)
	require.NoError(t, err)
	c.Release()
	_, _, err = s.answer(t, once, Key{Value: "k"}, "", &done)
	require.NoError(t, err)
	require.Equal(t, 2, done)
}

func TestConcurrentReplaysDoNotBlockEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store{}
		once := newOnce(s)
		done := 0
		first, _, err := s.answer(t, once, Key{Value: "k"}, "", &done)
		require.NoError(t, err)
		open := make(chan struct{})
		once.store = gate{s, open}
		for range 20 {
			go func() {
				again, replayed, err := s.answer(t, once, Key{Value: "k"}, "", &done)
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

// gate is a store that blocks until open is closed.
type gate struct {
	store
	open chan struct{}
}

func (g gate) Recorded(ctx context.Context, key Key, now time.Time) (Record, error) {
	<-g.open
	return g.store.Recorded(ctx, key, now)
}

// TestAReplayThatIsNotSentIsNotCounted: the caller may no longer be allowed to see it.
func TestAReplayThatIsNotSentIsNotCounted(t *testing.T) {
	s := store{}
	once := newOnce(s)
	done := 0
	_, _, err := s.answer(t, once, Key{Value: "k"}, "", &done)
	require.NoError(t, err)
	c, err := once.Claim(t.Context(), Key{Value: "k"}, nil)
	require.NoError(t, err)
	require.True(t, c.Replayed())
	c.Release()
	require.InDelta(t, 0, testutil.ToFloat64(once.requests.replayed), 0)
	require.InDelta(t, 1, testutil.ToFloat64(once.requests.failed), 0)
	require.Equal(t, 1, done)
}

func TestAnErasedRecordKeepsItsKey(t *testing.T) {
	s := store{}
	once := newOnce(s)
	done := 0
	_, _, err := s.answer(t, once, Key{Value: "k"}, "body", &done)
	require.NoError(t, err)
	r := s[Key{Value: "k"}]
	s[r.Key] = Record{Key: r.Key, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt}
	for _, body := range []string{"body", "another"} {
		_, replayed, err := s.answer(t, once, Key{Value: "k"}, body, &done)
		require.ErrorIs(t, err, ErrGone)
		require.False(t, replayed)
	}
	require.InDelta(t, 2, testutil.ToFloat64(once.requests.conflict), 0)
	require.Equal(t, 1, done, "the effect is not repeated")
}

func TestKeysExpireAndArePurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store{}
		once := newOnce(s)
		done := 0
		for range 2 {
			_, replayed, err := s.answer(t, once, Key{Value: "k"}, "", &done)
			require.NoError(t, err)
			require.False(t, replayed)
			time.Sleep(time.Hour)
		}
		require.Equal(t, 2, done)
		require.NoError(t, once.Purge(t.Context()))
		require.Empty(t, s)
	})
}
