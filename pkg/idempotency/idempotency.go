// Package idempotency makes a request that is sent twice take effect once. The client
// sends a key with it. The answer to the first request is recorded in the transaction of
// its effect, and replayed to later requests with the key. Only successes are recorded.
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
	// ErrInFlight means that a request with the same key is in flight.
	ErrInFlight = errors.New("another request with this Idempotency-Key is in progress")
	// ErrMismatch means that the key was used with another body.
	ErrMismatch = errors.New("this Idempotency-Key was used with another body")
	// ErrGone means that the resource created with the key has been deleted.
	ErrGone = errors.New("the resource created with this Idempotency-Key was deleted")
	// ErrTaken is returned by a store that already has an unexpired record of the key. It
	// has stored nothing.
	ErrTaken = errors.New("the idempotency key is taken")
	// ErrNotFound is returned by a store without a record of the key.
	ErrNotFound = errors.New("there is no such idempotency key")
)

// Key identifies a request. Each caller has its own keys.
type Key struct {
	Caller string
	Value  string
}

// Answer is the answer to the first request: always a success.
type Answer struct {
	Status         int
	Location, ETag string
	Body           []byte
}

// Record is the idempotency record of a key.
type Record struct {
	Key Key
	// Fingerprint is the SHA-256 of the request's body.
	Fingerprint []byte
	Answer      Answer
	CreatedAt   time.Time
	// ExpiresAt is when the key may be reused.
	ExpiresAt time.Time
}

// Erased reports whether the answer was erased together with its resource. The key stays
// taken until it expires: otherwise a retry would create another resource.
func (r Record) Erased() bool { return len(r.Fingerprint) == 0 }

// Store is what this package needs of a service's store. In addition, the store writes a
// record in the transaction of the request's effect. When it deletes a resource, it
// erases the records whose Answer.Location ends with the resource's id, except their keys
// and times (see [Record.Erased]).
type Store interface {
	// Recorded returns the unexpired record of a key, or ErrNotFound.
	Recorded(ctx context.Context, key Key, now time.Time) (Record, error)
	// Purge deletes at most limit expired records, and returns how many it deleted.
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

// NewOnce returns a Once that keeps records for the duration keep.
func NewOnce(store Store, keep time.Duration, registerer prometheus.Registerer) *Once {
	return &Once{store: store, keep: keep, now: time.Now, metrics: newMetrics(registerer), inFlight: map[Key]struct{}{}}
}

// Claim is a request that holds its key until Release.
type Claim struct {
	once        *Once
	key         Key
	fingerprint []byte
	holds       bool // others get ErrInFlight meanwhile
	answer      Answer
	// replayed: the answer is that of an earlier request. answered: it is being sent.
	replayed, answered bool
	err                error // why it isn't answered
}

// Claim claims the key of a request, and looks up the answer to an earlier request with
// it (see Claim.Replayed). Without a key (Value is "") nothing is claimed or recorded.
// The errors are ErrInFlight, ErrMismatch, ErrGone and the store's. Call Release if there
// is no error.
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
		if !c.holds { // the request that holds the key has recorded nothing yet
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

// recall looks up the answer to an earlier request.
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

// Replayed reports whether the answer is that of an earlier request. Check that the
// caller may still see it.
func (c *Claim) Replayed() bool { return c.replayed }

// Record returns the record of an answer, to be stored in the transaction of the
// request's effect. It is nil if there is no key.
func (c *Claim) Record(a Answer) *Record {
	if c.key.Value == "" {
		return nil
	}
	now := c.once.now()
	return &Record{Key: c.key, Fingerprint: c.fingerprint, Answer: a, CreatedAt: now, ExpiresAt: now.Add(c.once.keep)}
}

// Resolve takes the error of storing the effect and the record. On ErrTaken, another
// process was faster: the answer is then the other's. It returns the errors of
// Once.Claim, or err.
func (c *Claim) Resolve(ctx context.Context, a Answer, err error) error {
	c.answer = a
	if errors.Is(err, ErrTaken) {
		err = c.recall(ctx)
	}
	c.err = err
	return err
}

// Resource returns the id of the created resource.
func (c *Claim) Resource() (uuid.UUID, error) {
	id, err := ids.Parse(c.answer.Location[strings.LastIndexByte(c.answer.Location, '/')+1:])
	if err != nil {
		return uuid.Nil, fmt.Errorf("read the Location of a recorded response: %w", err)
	}
	return id, nil
}

// Answer returns the answer. Call it only to send it: the request then counts as
// answered.
func (c *Claim) Answer() Answer {
	c.answered = true
	return c.answer
}

// Release releases the key. Call it once.
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

// Purge deletes expired records. It deletes in small batches, so that it blocks no
// writes.
func (o *Once) Purge(ctx context.Context) error {
	for {
		n, err := o.store.Purge(ctx, o.now(), purgeBatch)
		if err != nil || n < purgeBatch {
			return err
		}
	}
}
