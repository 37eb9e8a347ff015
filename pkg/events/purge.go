package events

import (
	"context"
	"time"
)

// Retention is what a service with events can be told of how long it keeps them.
type Retention struct {
	TTL time.Duration `envconfig:"EVENTS_TTL" default:"720h" min:"1m" desc:"how long events are kept; deletions of users are kept for ever"`
}

const (
	// PurgeInterval is the time between two purges.
	PurgeInterval = 10 * time.Minute

	purgeBatch = 1000
)

// Purge returns what deletes the events that are too old, in batches that hold nothing up.
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
