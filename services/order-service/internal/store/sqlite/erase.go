package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/services/order-service/internal/order"
)

const (
	noteErasedUser = "-- name: NoteErasedUser\nINSERT INTO erased_users (user_id, erased_at) VALUES (?, ?) ON CONFLICT DO NOTHING"
	// A batch of a user's orders that are not erased yet.
	chosen = "SELECT id FROM orders WHERE user_id = ?1 AND erased_at IS NULL ORDER BY id LIMIT ?2+0"
	// +id has no affinity: with that of a column, SQLite doesn't use the index of the
	// expression, and reads all records.
	eraseRecords = "-- name: EraseRecords\nDELETE FROM idempotency_keys WHERE substr(location, -36) IN (SELECT +id FROM (" + chosen + "))"
	eraseOrders  = `-- name: EraseOrders
UPDATE orders
SET status = CASE WHEN status IN ('pending', 'confirmed') THEN 'cancelled' ELSE status END, shipping_address = ?3,
    erased_at = ?4, changed_by = 'erasure', version = version + 1, updated_at = max(updated_at, ?4)
WHERE id IN (` + chosen + ")"
	followed     = "-- name: Followed\nSELECT cursor FROM followed WHERE source = ?"
	moveFollowed = `-- name: MoveFollowed
INSERT INTO followed (source, cursor) VALUES (?1, ?3)
ON CONFLICT (source) DO UPDATE SET cursor = excluded.cursor WHERE followed.cursor = ?2`
)

// Followed implements events.Sink.
func (s *Store) Followed(ctx context.Context, source string) (events.Cursor, error) {
	cursor, err := sqlite.One(ctx, s.DB, func(r sqlite.Row) (string, error) { return r.Text(0), nil }, followed, source)
	if errors.Is(err, sqlite.ErrNoRow) {
		return events.Cursor{}, nil
	}
	if err != nil {
		return events.Cursor{}, err
	}
	return events.ParseCursor(cursor)
}

// Follow implements events.Sink. An event's subject is a deleted user, whose orders it
// erases, in several transactions if there are more than order.EraseBatch. The last one
// moves the cursor, so that an interrupted erasure continues.
func (s *Store) Follow(ctx context.Context, source string, from, to events.Cursor, e *events.Event) error {
	for {
		done := true
		err := s.Write(ctx, func(c *sqlite.Conn) (err error) {
			if e != nil {
				done, err = erase(ctx, c, e)
			}
			if err != nil || !done {
				return err
			}
			n, err := c.Exec(ctx, moveFollowed, source, from.String(), to.String())
			if err == nil && n == 0 {
				err = events.ErrMoved
			}
			return err
		})
		if err != nil || done {
			return err
		}
	}
}

// erase writes the user's tombstone and erases up to order.EraseBatch orders. It reports
// whether none is left.
func erase(ctx context.Context, c *sqlite.Conn, e *events.Event) (done bool, err error) {
	c.Erases()
	_, err = c.Exec(ctx, noteErasedUser, e.Subject, e.Time)
	if err != nil {
		return false, err
	}
	_, err = c.Exec(ctx, eraseRecords, e.Subject, order.EraseBatch)
	if err != nil {
		return false, err
	}
	// Not e.Time: with that, the events of a late erasure might be purged before a consumer
	// reads them.
	now := time.Now().UTC().Truncate(time.Millisecond)
	n, err := c.Exec(ctx, eraseOrders, e.Subject, order.EraseBatch, order.ErasedAddress, now)
	return n < order.EraseBatch, err
}
