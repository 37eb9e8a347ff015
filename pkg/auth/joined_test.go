package auth

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// slowKeys returns a key set whose fetches end when release is closed.
func slowKeys(t *testing.T, release <-chan struct{}) *keySet {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "old", Algorithm: "EdDSA", Use: "sig"}}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return &keySet{
		fetch:   func(context.Context) ([]byte, error) { <-release; return set, nil },
		fetched: func(error) {}, log: slog.New(slog.DiscardHandler), now: time.Now,
		refresh: defaultRefresh, cooldown: defaultCooldown, ctx: ctx, cancel: cancel,
	}
}

// TestAnEarlierFetchDoesNotProveAKeyUnknown: a key published during a fetch isn't rejected
// because this fetch lacks it.
func TestAnEarlierFetchDoesNotProveAKeyUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := slowKeys(t, release)
		s.flight.DoChan("", s.update)
		synctest.Wait()
		time.Sleep(time.Second)
		found := make(chan error, 1)
		go func() {
			_, _, err := s.find(t.Context(), "new")
			found <- err
		}()
		synctest.Wait()
		close(release)
		var unavailable *UnavailableError
		require.ErrorAs(t, <-found, &unavailable)
		require.True(t, unavailable.TooSoon)
		require.False(t, s.current.Load().lacks("new"))
	})
}

func TestTheCallersThatWaitForKeysAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := slowKeys(t, release)
		found := make(chan error, maxWaiting)
		for range maxWaiting {
			go func() {
				_, _, err := s.find(t.Context(), "old")
				found <- err
			}()
		}
		synctest.Wait()
		_, _, err := s.find(t.Context(), "old")
		require.ErrorIs(t, err, errCrowd)
		close(release)
		for range maxWaiting {
			require.NoError(t, <-found)
		}
		require.Zero(t, s.waiting.Load(), "all waiting callers have left")
	})
}

// TestAFetchEnds: a slow server delays a caller by at most fetchTimeout.
func TestAFetchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slowKeys(t, nil)
		s.fetch = func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
		began := time.Now()
		_, _, err := s.find(t.Context(), "old")
		var unavailable *UnavailableError
		require.ErrorAs(t, err, &unavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, fetchTimeout, time.Since(began))
	})
}
