package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/services/order-service/internal/order"
	"github.com/example/microservices/services/order-service/internal/store/postgres/db"
)

// Followed implements events.Sink.
func (s *Store) Followed(ctx context.Context, source string) (events.Cursor, error) {
	cursor, err := s.queries.Followed(ctx, source)
	if errors.Is(err, pgx.ErrNoRows) {
		return events.Cursor{}, nil
	}
	if err != nil {
		return events.Cursor{}, postgres.Wrap(err)
	}
	return events.ParseCursor(cursor)
}

// Follow implements events.Sink. An event's subject is a deleted user, whose orders it
// erases, in several transactions if there are more than order.EraseBatch. The last one
// moves the cursor, so that an interrupted erasure continues.
func (s *Store) Follow(ctx context.Context, source string, from, to events.Cursor, e *events.Event) error {
	for {
		done := true
		err := pgx.BeginFunc(ctx, s.DB, func(tx pgx.Tx) (err error) {
			q := s.queries.WithTx(tx)
			if e != nil {
				done, err = erase(ctx, q, e.Subject, e.Time)
			}
			if err != nil || !done {
				return err
			}
			n, err := q.MoveFollowed(ctx, db.MoveFollowedParams{Source: source, MovedFrom: from.String(), MovedTo: to.String()})
			if err == nil && n == 0 {
				err = events.ErrMoved
			}
			return err
		})
		if err != nil || done {
			return postgres.Wrap(err)
		}
	}
}

// erase writes the tombstone of a user who was deleted at the given time, and erases up to
// order.EraseBatch orders. It reports whether none is left.
func erase(ctx context.Context, q *db.Queries, user uuid.UUID, deleted time.Time) (done bool, err error) {
	err = q.NoteErasedUser(ctx, db.NoteErasedUserParams{UserID: user, ErasedAt: deleted, LockName: user.String()})
	if err != nil {
		return false, err
	}
	// Not the time of the deletion: with that, the events of a late erasure might be purged
	// before a consumer reads them.
	at := time.Now().UTC().Truncate(time.Millisecond)
	n, err := q.EraseOrders(ctx, db.EraseOrdersParams{UserID: user, RowLimit: order.EraseBatch, Placeholder: order.ErasedAddress, ErasedAt: &at})
	return n < order.EraseBatch, err
}
