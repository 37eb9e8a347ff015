package events

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// Erasure is the state of a deleted resource.
type Erasure struct {
	DeletedAt time.Time
	// Consumers maps each consumer of the feed to when it acknowledged the deletion; nil:
	// not yet.
	Consumers map[string]*time.Time
}

// MaxAcknowledged limits how many deletions a transaction of Consumers.Acknowledge records
// or withdraws.
const MaxAcknowledged = 500

// Consumers keeps the acknowledgements of a feed's consumers.
type Consumers interface {
	// Acknowledge records that a consumer has applied all events up to a cursor. A cursor
	// before the consumer's last one, as after a restore from a backup, withdraws the
	// acknowledgement of the later events. It returns ErrGone if no event has the
	// cursor. If it fails after some batches, those are kept: the consumer is between
	// its last cursor and c. If another acknowledgement moves the consumer meanwhile, that
	// one wins, and this one ends without an error.
	Acknowledge(ctx context.Context, name string, c Cursor, now time.Time) error
	// Erasure returns the state of a deleted resource. It returns false if there was no
	// deletion.
	Erasure(ctx context.Context, subject uuid.UUID) (Erasure, bool, error)
	// Unacknowledged returns the time of the first deletion that a consumer has not
	// acknowledged. It returns false if there is none.
	Unacknowledged(ctx context.Context, name string) (time.Time, bool, error)
}

// MeasureInterval is how often the task of Measure should run.
const MeasureInterval = time.Minute

// Measure adds the metric erasures_unacknowledged_seconds for each consumer, except the
// service with the feed itself, and returns the task that updates it. The metric shows
// whatever delays an erasure: a consumer that is behind, an acknowledgement that is refused,
// or, on PostgreSQL, a transaction that holds back the feed.
func (l ConsumerList) Measure(c Consumers, itself Consumer, r prometheus.Registerer) func(context.Context) error {
	since := map[Consumer]*atomic.Pointer[time.Time]{} // the zero time: none; nil: not known
	for name := range l {
		if name == itself {
			continue
		}
		first := new(atomic.Pointer[time.Time])
		since[name] = first
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "erasures_unacknowledged_seconds", ConstLabels: prometheus.Labels{"consumer": string(name)},
			Help: "Age of the oldest deletion that a consumer has not acknowledged, so that its erasure is not complete; 0 if there is none. Updated once a minute.",
		}, func() float64 {
			at := first.Load()
			switch {
			case at == nil:
				return math.NaN()
			case at.IsZero():
				return 0
			}
			return time.Since(*at).Seconds()
		}))
	}
	return func(ctx context.Context) error {
		var errs []error
		for name, first := range since {
			at, exists, err := c.Unacknowledged(ctx, string(name))
			switch {
			case err != nil:
				errs = append(errs, err)
				first.Store(nil)
			case exists:
				first.Store(&at)
			default:
				first.Store(new(time.Time))
			}
		}
		return errors.Join(errs...)
	}
}
