// Package idempotency makes a request that is sent twice happen once. The
// client names it with a key; the answer of the first is kept, in the same
// transaction as its effect, and is the answer of the others.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	// ErrInFlight says that a request with the same key is being answered.
	ErrInFlight = errors.New("a request with this Idempotency-Key is still being answered")
	// ErrMismatch says that the key was used for another body.
	ErrMismatch = errors.New("this Idempotency-Key was used with another body")
	// ErrGone says that what the first request with the key made has been deleted.
	ErrGone = errors.New("what was made with this Idempotency-Key has been deleted")
	// ErrTaken is a store's answer to a record whose key it has already, and
	// whose time has not run out. Nothing was stored.
	ErrTaken = errors.New("the idempotency key is taken")
	// ErrNotFound is a store's answer to a key that it doesn't have.
	ErrNotFound = errors.New("there is no such idempotency key")
)

// Key names a request. Each caller has keys of its own.
type Key struct {
	Caller string
	Value  string
}

// Answer is what the first request was answered: always a success.
type Answer struct {
	Status         int
	Location, ETag string
	Body           []byte
}

// Record is an answer under its key.
type Record struct {
	Key Key
	// Fingerprint is of the request's body: the same bytes, the same print.
	Fingerprint []byte
	Answer      Answer
	CreatedAt   time.Time
	// ExpiresAt is when the key may be used anew.
	ExpiresAt time.Time
}

// Erased reports whether a store has erased the record, together with the resource
// that the answer was about. Its key is taken until it expires, or the request would
// make another one.
func (r Record) Erased() bool { return len(r.Fingerprint) == 0 }

// Store is what a service's store does for this package. It also stores a record
// together with the effect of its request, and erases the records of a resource (all
// but the key and its times; see [Record.Erased]) together with the resource. Those
// are the ones whose Answer.Location ends with the resource's id.
type Store interface {
	// Recorded returns the record of a key that has not expired by now, or
	// ErrNotFound.
	Recorded(ctx context.Context, key Key, now time.Time) (Record, error)
	// Purge deletes at most limit records that have expired by now, and
	// returns how many it was.
	Purge(ctx context.Context, now time.Time, limit int) (int, error)
}

// Once answers each key once.
type Once struct {
	store Store
	keep  time.Duration
	now   func() time.Time
	metrics

	mu       sync.Mutex
	inFlight map[Key]struct{}
}

// NewOnce returns a Once that keeps answers for some time.
func NewOnce(store Store, keep time.Duration, registerer prometheus.Registerer) *Once {
	return &Once{store: store, keep: keep, now: time.Now, metrics: newMetrics(registerer), inFlight: map[Key]struct{}{}}
}

// Do answers a request. The first time it calls do, which stores the effect
// together with the record that it makes of its answer, by calling seal. Later
// it returns the first answer, and true, unless check refuses that, by its error: the
// caller may have lost the right to it since. Without a key (Value is "") it just
// calls do, and seal returns nil. The other errors are ErrInFlight, ErrMismatch,
// ErrGone and the store's.
//
// Two processes may get the same key at the same time: then both call do, the
// store lets one of them through (ErrTaken), and both return that one's answer.
// Within this process the second gets ErrInFlight.
func (o *Once) Do(ctx context.Context, key Key, body []byte, check func(Answer) error, do func(seal func(Answer) *Record) (Answer, error)) (Answer, bool, error) {
	if key.Value == "" {
		answer, err := do(func(Answer) *Record { return nil })
		return answer, false, err
	}
	answer, replayed, err := o.do(ctx, key, body, do)
	if replayed {
		err = check(answer)
		replayed = err == nil
	}
	o.count(replayed, err)
	return answer, replayed, err
}

func (o *Once) do(ctx context.Context, key Key, body []byte, do func(seal func(Answer) *Record) (Answer, error)) (Answer, bool, error) {
	fingerprint := sha256.Sum256(body)
	first := o.enter(key)
	if first {
		defer o.leave(key)
	}
	answer, err := o.replay(ctx, key, fingerprint[:])
	switch {
	case !errors.Is(err, ErrNotFound):
		return answer, err == nil, err
	case !first: // nothing is recorded yet by whoever came before
		return Answer{}, false, ErrInFlight
	}
	answer, err = do(func(a Answer) *Record {
		now := o.now()
		return &Record{Key: key, Fingerprint: fingerprint[:], Answer: a, CreatedAt: now, ExpiresAt: now.Add(o.keep)}
	})
	if errors.Is(err, ErrTaken) {
		answer, err = o.replay(ctx, key, fingerprint[:])
		return answer, err == nil, err
	}
	return answer, false, err
}

func (o *Once) replay(ctx context.Context, key Key, fingerprint []byte) (Answer, error) {
	record, err := o.store.Recorded(ctx, key, o.now())
	if err != nil {
		return Answer{}, err
	}
	if record.Erased() {
		return Answer{}, ErrGone
	}
	if !bytes.Equal(record.Fingerprint, fingerprint) {
		return Answer{}, ErrMismatch
	}
	return record.Answer, nil
}

func (o *Once) enter(key Key) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, busy := o.inFlight[key]
	if busy {
		return false
	}
	o.inFlight[key] = struct{}{}
	return true
}

func (o *Once) leave(key Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.inFlight, key)
}

const (
	purgeInterval = 10 * time.Minute
	purgeBatch    = 1000
)

// PurgeLoop deletes what has expired, again and again, until ctx is done.
func (o *Once) PurgeLoop(ctx context.Context, log *slog.Logger) error {
	ticker := time.NewTicker(purgeInterval)
	defer ticker.Stop()
	for {
		err := o.Purge(ctx)
		switch {
		case err == nil:
			o.purges.ok.Inc()
		case ctx.Err() == nil:
			o.purges.failed.Inc()
			log.WarnContext(ctx, "purge idempotency keys", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Purge deletes what has expired, in batches that hold nothing up.
func (o *Once) Purge(ctx context.Context) error {
	for {
		n, err := o.store.Purge(ctx, o.now(), purgeBatch)
		if err != nil || n < purgeBatch {
			return err
		}
	}
}
