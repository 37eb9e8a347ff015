package events

import (
	"context"
	"time"

	"github.com/google/uuid"
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
	// its last cursor and c.
	Acknowledge(ctx context.Context, name string, c Cursor, now time.Time) error
	// Erasure returns the state of a deleted resource. It returns false if there was no
	// deletion.
	Erasure(ctx context.Context, subject uuid.UUID) (Erasure, bool, error)
}
