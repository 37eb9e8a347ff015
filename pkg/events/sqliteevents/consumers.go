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
	// Limit the cursor to the last event.
	given = "(SELECT min(?2, coalesce(max(position), ?2)) FROM events)"
	// Deletions up to the consumer's previous cursor are recorded already, or are
	// withdrawn.
	erased = `-- name: NoteErasures
INSERT INTO erasures (user_id, consumer, erased_at)
SELECT subject, ?1, ?3 FROM events
WHERE type = 'deleted' AND position <= ` + given + `
    AND position > (SELECT coalesce(max(position), 0) FROM consumers WHERE name = ?1)
ON CONFLICT DO NOTHING`
	undone = `-- name: UndoErasures
DELETE FROM erasures WHERE consumer = ?1
    AND user_id IN (SELECT subject FROM events WHERE type = 'deleted' AND position > ` + given + `)`
	move = `-- name: MoveConsumer
INSERT INTO consumers (name, turn, position) VALUES (?1, 0, ` + given + `)
ON CONFLICT (name) DO UPDATE SET position = excluded.position`
	deletedAt = "-- name: DeletedAt\nSELECT time FROM events WHERE subject = ? AND type = 'deleted' ORDER BY version DESC LIMIT 1"
	consumers = `-- name: ErasedBy
SELECT c.name, d.erased_at FROM consumers AS c
LEFT JOIN erasures AS d ON d.consumer = c.name AND d.user_id = ?`
)

// Consumers implements events.Consumers with the tables consumers and erasures.
type Consumers struct{ db *sqlite.DB }

// NewConsumers returns the consumers of a database.
func NewConsumers(db *sqlite.DB) Consumers { return Consumers{db} }

// Acknowledge implements events.Consumers.
func (s Consumers) Acknowledge(ctx context.Context, name string, at events.Cursor, now time.Time) error {
	return s.db.Write(ctx, func(c *sqlite.Conn) error {
		err := checkAhead(ctx, c, at)
		if err != nil {
			return err
		}
		_, err = c.Exec(ctx, erased, name, at.Position, now)
		if err != nil {
			return err
		}
		_, err = c.Exec(ctx, undone, name, at.Position)
		if err != nil {
			return err
		}
		_, err = c.Exec(ctx, move, name, at.Position)
		return err
	})
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
