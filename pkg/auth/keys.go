package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"golang.org/x/sync/singleflight"
)

const (
	// defaultRefresh is the age at which keys are fetched again. A key that the issuer has
	// removed stays valid for that long.
	defaultRefresh = 5 * time.Minute
	// defaultCooldown is the minimum time from the end of a fetch to the next one, whatever
	// tokens arrive.
	defaultCooldown = 5 * time.Second
	// maxAbsent limits how many unknown key ids are remembered.
	maxAbsent = 1024
	// minRSABits is the minimum size of an RSA key (RFC 7518, section 3.3).
	minRSABits = 2048
	// maxWaiting limits how many requests wait for a fetch of an issuer's keys: invalid
	// tokens wait as well.
	maxWaiting = 256
)

var (
	errCooldown = errors.New("the keys were fetched just now")
	errCrowd    = errors.New("too many requests wait for the keys")
	errNoKeys   = errors.New("the JWK set has no usable key")
)

// key is a public key, and the only algorithm it verifies (RFC 8725, section 3.1).
type key struct {
	public    any
	algorithm jose.SignatureAlgorithm
}

// keys is the result of one fetch of an issuer's keys.
type keys struct {
	byID map[string]key
	// began is when the fetch began, and fetched when it ended.
	began, fetched time.Time
	// set is an identity that stays the same as long as the keys do.
	set *byte

	mu sync.Mutex
	// absent are ids that were looked up and weren't in the last fetch. A key that has just
	// disappeared is not among them: the server that answered may lag behind others.
	absent map[string]struct{}
}

func newKeys(byID map[string]key, began, fetched time.Time, before *keys) *keys {
	k := &keys{byID: byID, began: began, fetched: fetched, set: new(byte), absent: map[string]struct{}{}}
	if before == nil {
		return k
	}
	if maps.EqualFunc(byID, before.byID, key.equal) {
		k.set = before.set
	}
	before.mu.Lock()
	defer before.mu.Unlock()
	maps.Copy(k.absent, before.absent)
	for id := range byID {
		delete(k.absent, id)
	}
	return k
}

func (k key) equal(other key) bool {
	public, can := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return can && k.algorithm == other.algorithm && public.Equal(other.public)
}

// keySet keeps an issuer's current keys.
type keySet struct {
	fetch             func(context.Context) ([]byte, error)
	fetched           func(error) // called after each fetch
	log               *slog.Logger
	now               func() time.Time
	refresh, cooldown time.Duration

	current atomic.Pointer[keys] // nil until the first successful fetch
	flight  singleflight.Group
	last    atomic.Pointer[attempt]
	// waiting counts the requests that wait for a fetch.
	waiting atomic.Int64

	// ctx ends with the key set. Fetches use it, because they belong to no request.
	ctx    context.Context
	cancel context.CancelFunc
}

// attempt is the result of the last fetch.
type attempt struct {
	until time.Time // no other fetch before
	err   error
}

// find returns a key by its id, and the keys it belongs to. For an unknown id it fetches
// the keys, once for all callers. The errors are *InvalidError and *UnavailableError.
func (s *keySet) find(ctx context.Context, id string) (key, *keys, error) {
	current := s.current.Load()
	if current != nil {
		k, ok := current.byID[id]
		if ok {
			return k, current, nil
		}
		if s.wait() > 0 && current.lacks(id) {
			return key{}, nil, invalid(unknownKey, "the token is signed with a key that its issuer does not have")
		}
	}
	if s.waiting.Add(1) > maxWaiting {
		s.waiting.Add(-1)
		return key{}, nil, &UnavailableError{RetryAfter: time.Second, TooSoon: true, Err: errCrowd}
	}
	defer s.waiting.Add(-1)
	asked := s.now()
	current, err := s.newer(ctx, current)
	if err != nil {
		return key{}, nil, &UnavailableError{RetryAfter: s.wait(), TooSoon: errors.Is(err, errCooldown), Err: err}
	}
	k, ok := current.byID[id]
	if !ok {
		if current.began.Before(asked) { // the key may be newer than this fetch
			return key{}, nil, &UnavailableError{RetryAfter: s.wait(), TooSoon: true, Err: errCooldown}
		}
		current.remember(id)
		return key{}, nil, invalid(unknownKey, "the token is signed with a key that its issuer does not have")
	}
	return k, current, nil
}

// newer returns keys newer than seen. It fetches them if necessary.
func (s *keySet) newer(ctx context.Context, seen *keys) (*keys, error) {
	for {
		current := s.current.Load()
		if current != seen {
			return current, nil
		}
		select {
		case done := <-s.flight.DoChan("", s.update):
			if done.Err != nil && s.current.Load() == seen {
				return nil, done.Err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// update fetches the keys. If that fails, the current ones stay.
func (s *keySet) update() (any, error) {
	if s.wait() > 0 {
		err := s.last.Load().err
		if err == nil {
			err = errCooldown
		}
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
	defer cancel()
	began := s.now()
	content, err := s.fetch(ctx)
	var byID map[string]key
	if err == nil {
		byID, err = parseKeys(content)
	}
	if s.ctx.Err() != nil {
		return nil, s.ctx.Err()
	}
	s.fetched(err)
	// After the keys, so that nobody sees the cooldown without them.
	defer s.last.Store(&attempt{until: s.now().Add(s.cooldown), err: err})
	if err != nil {
		s.log.WarnContext(ctx, "can't fetch the keys of an issuer", slog.Any("error", err))
		return nil, err
	}
	s.current.Store(newKeys(byID, began, s.now(), s.current.Load()))
	return nil, nil
}

// wait returns the time until the keys may be fetched again.
func (s *keySet) wait() time.Duration {
	last := s.last.Load()
	if last == nil {
		return 0
	}
	return max(0, last.until.Sub(s.now()))
}

// check returns an error until there are keys. It refreshes old keys in the background.
func (s *keySet) check(ctx context.Context) error {
	current := s.current.Load()
	if current == nil {
		_, err := s.newer(ctx, nil)
		return err
	}
	if s.now().Sub(current.fetched) >= s.refresh {
		s.flight.DoChan("", s.update)
	}
	return nil
}

// close cancels a fetch, and waits for its end.
func (s *keySet) close() {
	s.cancel()
	_, _, _ = s.flight.Do("", func() (any, error) { return nil, nil })
}

func (k *keys) lacks(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, absent := k.absent[id]
	return absent
}

func (k *keys) remember(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.absent) >= maxAbsent {
		clear(k.absent)
	}
	k.absent[id] = struct{}{}
}

// parseKeys parses a JWK set. It skips unsupported keys (RFC 7517, section 5), so that a
// new kind of key doesn't break the others.
func parseKeys(content []byte) (map[string]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	err := json.Unmarshal(content, &set)
	if err != nil {
		return nil, fmt.Errorf("not a JWK set: %w", err)
	}
	byID := map[string]key{}
	for _, raw := range set.Keys {
		var jwk jose.JSONWebKey
		if json.Unmarshal(raw, &jwk) != nil || !jwk.Valid() || jwk.KeyID == "" || jwk.Use != "" && jwk.Use != "sig" {
			continue
		}
		k, ok := usable(&jwk)
		if ok {
			byID[jwk.KeyID] = k
		}
	}
	if len(byID) == 0 {
		return nil, errNoKeys
	}
	return byID, nil
}

// usable returns the key with its algorithm, if that is supported. Secret and private
// keys are not.
func usable(jwk *jose.JSONWebKey) (key, bool) {
	k := key{public: jwk.Key}
	switch public := jwk.Key.(type) {
	case *ecdsa.PublicKey:
		k.algorithm = jose.ES256
		if public.Curve != elliptic.P256() {
			return key{}, false
		}
	case ed25519.PublicKey:
		k.algorithm = jose.EdDSA
	case *rsa.PublicKey:
		k.algorithm = jose.RS256
		if public.N.BitLen() < minRSABits {
			return key{}, false
		}
	default:
		return key{}, false
	}
	// RFC 9864 renames EdDSA with this curve to Ed25519.
	named := jwk.Algorithm == "" || jwk.Algorithm == string(k.algorithm) || jwk.Algorithm == "Ed25519" && k.algorithm == jose.EdDSA
	return k, named
}
