// Package postgresevents implements events.Store and events.Consumers on PostgreSQL. The
// service's migrations create its tables.
package postgresevents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/events"
)

const (
	selectEvent = `SELECT e.turn, e.position, e.subject, e.type, e.version, e.time, e.data::text FROM %[1]s.events AS e `
	// No event is committed later with a turn below the oldest running transaction's.
	after = "-- name: EventsAfter\n" + selectEvent + `
WHERE (e.turn, e.position) > ($1, $2)
    AND ($1 = 0 AND $2 = 0 OR EXISTS (SELECT FROM %[1]s.events WHERE turn = $1 AND position = $2))
    AND e.turn < (SELECT b.turn FROM %[1]s.events_base AS b) + pg_snapshot_xmin(pg_current_snapshot())::text::bigint
ORDER BY e.turn, e.position LIMIT $3`
	of     = "-- name: EventsOf\n" + selectEvent + `WHERE e.subject = $1 AND e.version < $2 ORDER BY e.version DESC LIMIT $3`
	exists = "-- name: EventExists\nSELECT EXISTS (SELECT FROM %[1]s.events WHERE turn = $1 AND position = $2)"
	// The last expired event stays: a consumer whose cursor it is has missed nothing.
	purge = `-- name: PurgeEvents
WITH expired AS (
    SELECT turn, position FROM %[1]s.events WHERE time < $1 AND NOT (type = $2 AND $3)
    ORDER BY turn, position LIMIT $4::int + 1
    FOR UPDATE SKIP LOCKED)
DELETE FROM %[1]s.events WHERE (turn, position) IN (
    SELECT turn, position FROM expired WHERE (turn, position) < (SELECT turn, position FROM expired ORDER BY turn DESC, position DESC LIMIT 1))`
	// A turn that no transaction of this server can have had comes from a dump of another
	// server. Rebase makes new turns start above it.
	rebase = `-- name: RebaseEvents
UPDATE %[1]s.events_base SET turn = last.turn + 1
FROM (SELECT turn FROM %[1]s.events ORDER BY turn DESC LIMIT 1) AS last
WHERE last.turn >= events_base.turn + pg_snapshot_xmax(pg_current_snapshot())::text::bigint`
)

// Events implements events.Store.
type Events struct {
	db          *postgres.DB
	keepDeleted bool

	after, of, exists, purge, rebase string
}

// New returns the events of a schema. keepDeleted: PurgeEvents keeps deletions.
func New(db *postgres.DB, schema string, keepDeleted bool) Events {
	in := func(query string) string { return fmt.Sprintf(query, pgx.Identifier{schema}.Sanitize()) }
	return Events{db: db, keepDeleted: keepDeleted, after: in(after), of: in(of), exists: in(exists), purge: in(purge), rebase: in(rebase)}
}

// EventsAfter implements events.Store.
func (e Events) EventsAfter(ctx context.Context, c events.Cursor, limit int) ([]events.Event, error) {
	found, err := e.collect(e.db.Query(ctx, e.after, c.Turn, c.Position, limit))
	if err == nil && len(found) == 0 {
		err = checkExists(ctx, e.db, e.exists, c)
	}
	return found, err
}

// checkExists returns events.ErrGone if a cursor isn't the beginning and has no event.
func checkExists(ctx context.Context, db *postgres.DB, query string, c events.Cursor) error {
	exists := c == (events.Cursor{})
	if exists {
		return nil
	}
	err := db.QueryRow(ctx, query, c.Turn, c.Position).Scan(&exists)
	if err == nil && !exists {
		return events.ErrGone
	}
	return postgres.Wrap(err)
}

// EventsOf implements events.Store.
func (e Events) EventsOf(ctx context.Context, subject uuid.UUID, below int64, limit int) ([]events.Event, error) {
	return e.collect(e.db.Query(ctx, e.of, subject, below, limit))
}

func (e Events) collect(rows pgx.Rows, err error) ([]events.Event, error) {
	if err != nil {
		return nil, postgres.Wrap(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (found events.Event, err error) {
		var data string
		err = row.Scan(&found.Cursor.Turn, &found.Cursor.Position, &found.Subject, &found.Type, &found.Version, &found.Time, &data)
		found.Time, found.Data = found.Time.UTC(), []byte(data)
		return found, err
	})
	return all, postgres.Wrap(err)
}

// PurgeEvents implements events.Store.
func (e Events) PurgeEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := e.db.Exec(ctx, e.purge, before, events.Deleted, e.keepDeleted, limit)
	return int(tag.RowsAffected()), postgres.Wrap(err)
}

// Rebase makes new events come after the existing ones, even if these were restored from
// a dump of another server. Call it after the migrations.
func (e Events) Rebase(ctx context.Context) error {
	_, err := e.db.Exec(ctx, e.rebase)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "25006" {
		return nil // read_only_sql_transaction: nothing is written either
	}
	return postgres.Wrap(err)
}
