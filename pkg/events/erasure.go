package events

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Erasure is what became of a resource that was deleted.
type Erasure struct {
	DeletedAt time.Time
	// Consumers are the services that follow the feed, and when each had done what the
	// deletion asks of it; nil: not yet.
	Consumers map[string]*time.Time
}

// Consumers are the services that follow the feed of a database.
type Consumers interface {
	// Acknowledge notes that a consumer has done what all events up to a cursor ask for.
	// A cursor that is further back than the last, as when the consumer was restored from
	// a backup, takes back what came after it. It returns ErrAhead.
	Acknowledge(ctx context.Context, name string, c Cursor, now time.Time) error
	// Erasure returns what became of a deleted resource; false: there was no such deletion.
	Erasure(ctx context.Context, subject uuid.UUID) (Erasure, bool, error)
}
