// Package idempotency makes a request that is sent twice happen once. The
// client names it with a key; the answer of the first is kept, in the same
// transaction as its effect, and is the answer of the others.
package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/ids"
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

// Claim is a request that holds its key until it is released.
type Claim struct {
	once        *Once
	key         Key
	fingerprint []byte
	holds       bool // so that others get ErrInFlight
	answer      Answer
	// replayed says that the answer is an earlier request's, answered that it is sent.
	replayed, answered bool
	err                error // why it is not
}

// Claim claims the key of a request with a body, and looks for the answer that an earlier
// one got (see Claim.Replayed). Without a key (Value is "") there is nothing to claim and
// nothing kept. The errors are ErrInFlight, ErrMismatch, ErrGone and the store's.
func (o *Once) Claim(ctx context.Context, key Key, body []byte) (*Claim, error) {
	c := &Claim{once: o, key: key}
	if key.Value == "" {
		return c, nil
	}
	fingerprint := sha256.Sum256(body)
	c.fingerprint = fingerprint[:]
	c.holds = o.enter(key)
	err := c.recall(ctx)
	if errors.Is(err, ErrNotFound) {
		err = nil
		if !c.holds { // nothing is recorded yet by whoever came before
			err = ErrInFlight
		}
	}
	if err != nil {
		c.err = err
		c.Release()
		return nil, err
	}
	return c, nil
}

// recall looks for the answer that an earlier request got.
func (c *Claim) recall(ctx context.Context) error {
	record, err := c.once.store.Recorded(ctx, c.key, c.once.now())
	switch {
	case err != nil:
		return err
	case record.Erased():
		return ErrGone
	case !bytes.Equal(record.Fingerprint, c.fingerprint):
		return ErrMismatch
	}
	c.answer, c.replayed = record.Answer, true
	return nil
}

// Replayed reports whether the answer is that of an earlier request. The caller may have
// lost the right to it since.
func (c *Claim) Replayed() bool { return c.replayed }

// Record returns the record of an answer, to be stored together with the effect of the
// request; nil where there is no key.
func (c *Claim) Record(a Answer) *Record {
	if c.key.Value == "" {
		return nil
	}
	now := c.once.now()
	return &Record{Key: c.key, Fingerprint: c.fingerprint, Answer: a, CreatedAt: now, ExpiresAt: now.Add(c.once.keep)}
}

// Resolve takes what came of storing a record with this answer. ErrTaken says that
// another process was faster with the key: its answer is the one then. The errors are
// those of Once.Claim, and err.
func (c *Claim) Resolve(ctx context.Context, a Answer, err error) error {
	c.answer = a
	if errors.Is(err, ErrTaken) {
		err = c.recall(ctx)
	}
	c.err = err
	return err
}

// Resource returns the id of what the request made.
func (c *Claim) Resource() (uuid.UUID, error) {
	id, err := ids.Parse(c.answer.Location[strings.LastIndexByte(c.answer.Location, '/')+1:])
	if err != nil {
		return uuid.Nil, fmt.Errorf("read the Location of a kept answer: %w", err)
	}
	return id, nil
}

// Answer returns the answer, which is about to be sent.
func (c *Claim) Answer() Answer {
	c.answered = true
	return c.answer
}

// Release lets go of the key. It is called once.
func (c *Claim) Release() {
	if c.holds {
		c.once.leave(c.key)
	}
	if c.key.Value != "" {
		c.once.count(c)
	}
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

// PurgeInterval is the time between two purges.
const PurgeInterval = 10 * time.Minute

const purgeBatch = 1000

// Purge deletes what has expired, in batches that hold nothing up.
func (o *Once) Purge(ctx context.Context) error {
	for {
		n, err := o.store.Purge(ctx, o.now(), purgeBatch)
		if err != nil || n < purgeBatch {
			return err
		}
	}
}
