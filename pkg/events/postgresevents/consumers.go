package postgresevents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/events"
)

const (
	// lock creates a consumer, or locks its row until the end of the transaction.
	lock = `-- name: LockConsumer
INSERT INTO %[1]s.consumers (name, turn, position) VALUES ($1, 0, 0)
ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING turn, position`
	between = " WHERE type = 'deleted' AND (turn, position) > ($1, $2) AND (turn, position) <= ($3, $4) "
	// These return the deletion that fills a batch. Its size is the OFFSET, plus one.
	batchUp   = "-- name: NextDeletions\nSELECT turn, position FROM %[1]s.events" + between + "ORDER BY turn, position LIMIT 1 OFFSET $5"
	batchDown = "-- name: PreviousDeletions\nSELECT turn, position FROM %[1]s.events" + between + "ORDER BY turn DESC, position DESC LIMIT 1 OFFSET $5"
	erased    = `-- name: NoteErasures
INSERT INTO %[1]s.erasures (user_id, consumer, erased_at)
SELECT subject, $5, $6 FROM %[1]s.events` + between + `ON CONFLICT (user_id, consumer) DO NOTHING`
	undone = `-- name: UndoErasures
DELETE FROM %[1]s.erasures WHERE consumer = $5 AND user_id IN (SELECT subject FROM %[1]s.events` + between + `)`
	move      = "-- name: MoveConsumer\nUPDATE %[1]s.consumers SET turn = $2, position = $3 WHERE name = $1"
	deletedAt = "-- name: DeletedAt\nSELECT time, turn, position FROM %[1]s.events WHERE subject = $1 AND type = 'deleted' ORDER BY version DESC LIMIT 1"
	// Not acknowledged: also deletions that the feed withholds because of a transaction.
	unacknowledged = `-- name: UnacknowledgedDeletion
SELECT time FROM %[1]s.events WHERE type = 'deleted' AND (turn, position) > (
    coalesce((SELECT turn FROM %[1]s.consumers WHERE name = $1), 0), coalesce((SELECT position FROM %[1]s.consumers WHERE name = $1), 0))
ORDER BY turn, position LIMIT 1`
	consumers = `-- name: ErasedBy
SELECT c.name, d.erased_at, d.erased_at IS NULL AND (c.turn, c.position) >= ($2, $3) FROM %[1]s.consumers AS c
LEFT JOIN %[1]s.erasures AS d ON d.consumer = c.name AND d.user_id = $1`
	// Where acknowledgements of an earlier version overlapped, they may have lost a record.
	lost = `-- name: NoteLostErasures
INSERT INTO %[1]s.erasures (user_id, consumer, erased_at)
SELECT $1, name, now() FROM %[1]s.consumers WHERE (turn, position) >= ($2, $3) FOR SHARE
ON CONFLICT (user_id, consumer) DO NOTHING`
)

// Consumers implements events.Consumers with the tables consumers and erasures.
type Consumers struct {
	db *postgres.DB

	exists, lock, batchUp, batchDown, erased, undone, move, deletedAt, unacknowledged, consumers, lost string
}

// NewConsumers returns the consumers of a schema.
func NewConsumers(db *postgres.DB, schema string) Consumers {
	in := func(query string) string { return fmt.Sprintf(query, pgx.Identifier{schema}.Sanitize()) }
	return Consumers{
		db: db, exists: in(exists), lock: in(lock), batchUp: in(batchUp), batchDown: in(batchDown),
		erased: in(erased), undone: in(undone), move: in(move), deletedAt: in(deletedAt), unacknowledged: in(unacknowledged), consumers: in(consumers), lost: in(lost),
	}
}

// Acknowledge implements events.Consumers. Each batch is a transaction of its own. Before a
// consumer without the event is told so, what comes after it is withdrawn.
func (s Consumers) Acknowledge(ctx context.Context, name string, to events.Cursor, now time.Time) error {
	gone := checkExists(ctx, s.db, s.exists, to)
	if gone != nil && !errors.Is(gone, events.ErrGone) {
		return gone
	}
	var at *events.Cursor // where this acknowledgement has left the consumer
	for at == nil || *at != to {
		var from, moved events.Cursor
		err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) (err error) {
			from, _, err = cursor(tx.QueryRow(ctx, s.lock, name))
			if err != nil || at != nil && from != *at {
				return err
			}
			if gone != nil && from.Compare(to) <= 0 {
				return gone
			}
			moved, err = s.acknowledgeBatch(ctx, tx, name, from, to, now)
			return err
		})
		if err != nil {
			return postgres.Wrap(err)
		}
		if at != nil && from != *at {
			return gone
		}
		at = &moved
	}
	return gone
}

// acknowledgeBatch moves a consumer towards a cursor, by events.MaxAcknowledged deletions
// at most, and returns where it is then.
func (s Consumers) acknowledgeBatch(ctx context.Context, tx pgx.Tx, name string, from, to events.Cursor, now time.Time) (moved events.Cursor, err error) {
	if from.Compare(to) <= 0 {
		moved, err = s.record(ctx, tx, name, from, to, now)
	} else {
		moved, err = s.withdraw(ctx, tx, name, from, to)
	}
	if err != nil {
		return moved, err
	}
	_, err = tx.Exec(ctx, s.move, name, moved.Turn, moved.Position)
	return moved, err
}

// record records a batch of deletions after from, up to to, and returns its last cursor.
func (s Consumers) record(ctx context.Context, tx pgx.Tx, name string, from, to events.Cursor, now time.Time) (moved events.Cursor, err error) {
	end, full, err := cursor(tx.QueryRow(ctx, s.batchUp, from.Turn, from.Position, to.Turn, to.Position, events.MaxAcknowledged-1))
	if err != nil {
		return to, err
	}
	if full {
		to = end
	}
	_, err = tx.Exec(ctx, s.erased, from.Turn, from.Position, to.Turn, to.Position, name, now)
	return to, err
}

// withdraw withdraws a batch of deletions up to from, after to, and returns the cursor
// before it.
func (s Consumers) withdraw(ctx context.Context, tx pgx.Tx, name string, from, to events.Cursor) (moved events.Cursor, err error) {
	end, full, err := cursor(tx.QueryRow(ctx, s.batchDown, to.Turn, to.Position, from.Turn, from.Position, events.MaxAcknowledged-1))
	if err != nil {
		return to, err
	}
	if full {
		to = events.Cursor{Turn: end.Turn, Position: end.Position - 1}
	}
	_, err = tx.Exec(ctx, s.undone, to.Turn, to.Position, from.Turn, from.Position, name)
	return to, err
}

// cursor reads a cursor from a row, if there is one.
func cursor(row pgx.Row) (c events.Cursor, found bool, err error) {
	err = row.Scan(&c.Turn, &c.Position)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, false, nil
	}
	return c, err == nil, postgres.Wrap(err)
}

// Erasure implements events.Consumers.
func (s Consumers) Erasure(ctx context.Context, subject uuid.UUID) (found events.Erasure, deleted bool, err error) {
	var deletion events.Cursor
	err = s.db.QueryRow(ctx, s.deletedAt, subject).Scan(&found.DeletedAt, &deletion.Turn, &deletion.Position)
	if errors.Is(err, pgx.ErrNoRows) {
		return found, false, nil
	}
	if err != nil {
		return found, false, postgres.Wrap(err)
	}
	found.DeletedAt = found.DeletedAt.UTC()
	var isLost bool
	found.Consumers, isLost, err = s.erasedBy(ctx, subject, deletion)
	if err == nil && isLost {
		_, err = s.db.Exec(ctx, s.lost, subject, deletion.Turn, deletion.Position)
		if err == nil {
			found.Consumers, _, err = s.erasedBy(ctx, subject, deletion)
		}
	}
	return found, true, postgres.Wrap(err)
}

// erasedBy returns when each consumer had erased a subject. isLost: a consumer has
// acknowledged the deletion, but there is no record of it.
func (s Consumers) erasedBy(ctx context.Context, subject uuid.UUID, deletion events.Cursor) (all map[string]*time.Time, isLost bool, err error) {
	rows, err := s.db.Query(ctx, s.consumers, subject, deletion.Turn, deletion.Position)
	if err != nil {
		return nil, false, err
	}
	all = map[string]*time.Time{}
	var name string
	var at *time.Time
	var lost bool
	_, err = pgx.ForEachRow(rows, []any{&name, &at, &lost}, func() error {
		all[name] = at
		isLost = isLost || lost
		return nil
	})
	return all, isLost, err
}

// Unacknowledged implements events.Consumers.
func (s Consumers) Unacknowledged(ctx context.Context, name string) (at time.Time, exists bool, err error) {
	err = s.db.QueryRow(ctx, s.unacknowledged, name).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return at, false, nil
	}
	return at.UTC(), err == nil, postgres.Wrap(err)
}
