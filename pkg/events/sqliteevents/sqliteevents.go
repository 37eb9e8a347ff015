// Package sqliteevents implements events.Store and events.Consumers on SQLite. The
// service's migrations create its tables.
package sqliteevents

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/events"
)

const (
	selectEvent = "SELECT turn, position, subject, type, version, time, data FROM events "
	// The primary key is the position alone: SQLite needs no turn, which is 0. CASE is one
	// bound of the search; a condition beside it would be tested for each later event.
	after  = "-- name: EventsAfter\n" + selectEvent + "WHERE position > CASE WHEN ?1 = 0 OR EXISTS (SELECT 1 FROM events WHERE position = ?1) THEN ?1 ELSE 9223372036854775807 END ORDER BY position LIMIT ?2+0"
	of     = "-- name: EventsOf\n" + selectEvent + "WHERE subject = ? AND version < ? ORDER BY version DESC LIMIT ?+0"
	exists = "-- name: EventExists\nSELECT EXISTS (SELECT 1 FROM events WHERE position = ?)"
	// Two statements: the first may read all events, and only the second needs the writer.
	expired = "-- name: ExpiredEvents\nSELECT position FROM events WHERE time < ? AND NOT (type = ? AND ?) ORDER BY position LIMIT ?+1"
	purge   = "-- name: PurgeEvents\nDELETE FROM events WHERE position IN (SELECT value FROM json_each(?))"
)

// Events implements events.Store.
type Events struct {
	db          *sqlite.DB
	keepDeleted bool
}

// New returns the events of a database. keepDeleted: PurgeEvents keeps deletions.
func New(db *sqlite.DB, keepDeleted bool) Events { return Events{db, keepDeleted} }

// EventsAfter implements events.Store.
func (e Events) EventsAfter(ctx context.Context, c events.Cursor, limit int) ([]events.Event, error) {
	if c.Turn > 0 { // of another database
		return nil, events.ErrGone
	}
	found, err := sqlite.All(ctx, e.db, scan, after, c.Position, limit)
	if err == nil && len(found) == 0 {
		err = e.db.Read(ctx, func(conn *sqlite.Conn) error { return checkExists(ctx, conn, c) })
	}
	return found, err
}

// checkExists returns events.ErrGone if a cursor isn't the beginning and has no event.
func checkExists(ctx context.Context, conn *sqlite.Conn, c events.Cursor) error {
	if c == (events.Cursor{}) {
		return nil
	}
	return conn.Query(ctx, exists, func(r sqlite.Row) error {
		if r.Int(0) == 0 {
			return events.ErrGone
		}
		return nil
	}, c.Position)
}

// EventsOf implements events.Store.
func (e Events) EventsOf(ctx context.Context, subject uuid.UUID, below int64, limit int) ([]events.Event, error) {
	return sqlite.All(ctx, e.db, scan, of, subject, below, limit)
}

// PurgeEvents implements events.Store.
func (e Events) PurgeEvents(ctx context.Context, before time.Time, limit int) (n int, err error) {
	keep := 0
	if e.keepDeleted {
		keep = 1
	}
	positions, err := sqlite.All(ctx, e.db, func(r sqlite.Row) (int64, error) { return r.Int(0), nil }, expired, before, events.Deleted, keep, limit)
	if err != nil || len(positions) < 2 {
		return 0, err
	}
	// The last expired event stays: a consumer whose cursor it is has missed nothing.
	list, err := json.Marshal(positions[:len(positions)-1])
	if err != nil {
		return 0, err
	}
	err = e.db.Write(ctx, func(c *sqlite.Conn) (err error) {
		n, err = c.Exec(ctx, purge, string(list))
		return err
	})
	return n, err
}

func scan(r sqlite.Row) (e events.Event, err error) {
	e = events.Event{
		Cursor: events.Cursor{Turn: r.Int(0), Position: r.Int(1)}, Type: r.Text(3), Version: r.Int(4), Time: r.Time(5), Data: []byte(r.Text(6)),
	}
	e.Subject, err = r.UUID(2)
	return e, err
}
