package events

import (
	"context"
	"time"
)

// Retention configures how long events are kept.
type Retention struct {
	TTL time.Duration `envconfig:"EVENTS_TTL" default:"720h" min:"1m" desc:"how long events are kept; deletions of users are kept for ever"`
}

const (
	// PurgeInterval is the time between two purges.
	PurgeInterval = 10 * time.Minute

	purgeBatch = 1000
)

// Purge returns a function that deletes expired events. It deletes in small batches, so
// that it blocks no writes.
func (r Retention) Purge(s Store) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			n, err := s.PurgeEvents(ctx, time.Now().Add(-r.TTL), purgeBatch)
			if err != nil || n < purgeBatch {
				return err
			}
		}
	}
}
