package sqliteevents

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/events"
)

const (
	progress = "-- name: ConsumerProgress\nSELECT coalesce(max(position), 0) FROM consumers WHERE name = ?"
	// These return the deletion that fills a batch. Its size is the OFFSET, plus one.
	batchUp   = "-- name: NextDeletions\nSELECT position FROM events WHERE type = 'deleted' AND position > ? AND position <= ? ORDER BY position LIMIT 1 OFFSET ?"
	batchDown = "-- name: PreviousDeletions\nSELECT position FROM events WHERE type = 'deleted' AND position > ? AND position <= ? ORDER BY position DESC LIMIT 1 OFFSET ?"
	erased    = `-- name: NoteErasures
INSERT INTO erasures (user_id, consumer, erased_at)
SELECT subject, ?, ? FROM events WHERE type = 'deleted' AND position > ? AND position <= ? ON CONFLICT DO NOTHING`
	undone = `-- name: UndoErasures
DELETE FROM erasures WHERE consumer = ?
    AND user_id IN (SELECT subject FROM events WHERE type = 'deleted' AND position > ? AND position <= ?)`
	move = `-- name: MoveConsumer
INSERT INTO consumers (name, turn, position) VALUES (?, 0, ?)
ON CONFLICT (name) DO UPDATE SET position = excluded.position`
	deletedAt      = "-- name: DeletedAt\nSELECT time FROM events WHERE subject = ? AND type = 'deleted' ORDER BY version DESC LIMIT 1"
	unacknowledged = `-- name: UnacknowledgedDeletion
SELECT time FROM events WHERE type = 'deleted' AND position > (SELECT coalesce(max(position), 0) FROM consumers WHERE name = ?)
ORDER BY position LIMIT 1`
	consumers = `-- name: ErasedBy
SELECT c.name, d.erased_at FROM consumers AS c
LEFT JOIN erasures AS d ON d.consumer = c.name AND d.user_id = ?`
)

// Consumers implements events.Consumers with the tables consumers and erasures.
type Consumers struct{ db *sqlite.DB }

// NewConsumers returns the consumers of a database.
func NewConsumers(db *sqlite.DB) Consumers { return Consumers{db} }

// Acknowledge implements events.Consumers. Each batch is a transaction of its own, so that
// other writes needn't wait for all. Before a consumer without the event is told so, what
// comes after it is withdrawn.
func (s Consumers) Acknowledge(ctx context.Context, name string, c events.Cursor, now time.Time) error {
	if c.Turn > 0 { // of another database
		return events.ErrGone
	}
	var gone error
	left := int64(-1) // where this acknowledgement has left the consumer
	for left != c.Position {
		overtaken := false
		err := s.db.Write(ctx, func(conn *sqlite.Conn) error {
			gone = checkExists(ctx, conn, c)
			if gone != nil && !errors.Is(gone, events.ErrGone) {
				return gone
			}
			from := int64(0)
			err := conn.Query(ctx, progress, func(r sqlite.Row) error { from = r.Int(0); return nil }, name)
			overtaken = left >= 0 && from != left
			if err != nil || overtaken {
				return err
			}
			if gone != nil && from <= c.Position {
				return gone
			}
			left, err = acknowledgeBatch(ctx, conn, name, from, c.Position, now)
			return err
		})
		if err != nil {
			return err
		}
		if overtaken {
			return gone
		}
	}
	return gone
}

// acknowledgeBatch moves a consumer towards a position, by events.MaxAcknowledged
// deletions at most, and returns where it is then.
func acknowledgeBatch(ctx context.Context, c *sqlite.Conn, name string, from, to int64, now time.Time) (moved int64, err error) {
	last := func(query string, values ...any) (position int64, full bool) {
		if err == nil {
			err = c.Query(ctx, query, func(r sqlite.Row) error { position, full = r.Int(0), true; return nil }, values...)
		}
		return position, full
	}
	moved = to
	if from <= to {
		if end, full := last(batchUp, from, to, events.MaxAcknowledged-1); full {
			moved = end
		}
		if err == nil {
			_, err = c.Exec(ctx, erased, name, now, from, moved)
		}
	} else {
		if end, full := last(batchDown, to, from, events.MaxAcknowledged-1); full {
			moved = end - 1
		}
		if err == nil {
			_, err = c.Exec(ctx, undone, name, moved, from)
		}
	}
	if err == nil {
		_, err = c.Exec(ctx, move, name, moved)
	}
	return moved, err
}

// Erasure implements events.Consumers.
func (s Consumers) Erasure(ctx context.Context, subject uuid.UUID) (found events.Erasure, deleted bool, err error) {
	found.DeletedAt, err = sqlite.One(ctx, s.db, func(r sqlite.Row) (time.Time, error) { return r.Time(0), nil }, deletedAt, subject)
	if errors.Is(err, sqlite.ErrNoRow) {
		return found, false, nil
	}
	if err != nil {
		return found, false, err
	}
	found.Consumers = map[string]*time.Time{}
	err = s.db.Read(ctx, func(c *sqlite.Conn) error {
		return c.Query(ctx, consumers, func(r sqlite.Row) error {
			found.Consumers[r.Text(0)] = r.NullTime(1)
			return nil
		}, subject)
	})
	return found, true, err
}

// Unacknowledged implements events.Consumers.
func (s Consumers) Unacknowledged(ctx context.Context, name string) (at time.Time, exists bool, err error) {
	at, err = sqlite.One(ctx, s.db, func(r sqlite.Row) (time.Time, error) { return r.Time(0), nil }, unacknowledged, name)
	if errors.Is(err, sqlite.ErrNoRow) {
		return at, false, nil
	}
	return at, err == nil, err
}
