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
	lastEvent = "SELECT turn, position FROM %[1]s.events ORDER BY turn DESC, position DESC LIMIT 1"
	// Limit the cursor to the last event.
	acknowledge = `-- name: AcknowledgeEvents
WITH given AS (
    SELECT turn, position FROM (SELECT $2::bigint AS turn, $3::bigint AS position UNION ALL (` + lastEvent + `)) AS either
    ORDER BY turn, position LIMIT 1
), moved AS (
    INSERT INTO %[1]s.consumers (name, turn, position) SELECT $1, turn, position FROM given
    ON CONFLICT (name) DO UPDATE SET turn = excluded.turn, position = excluded.position
), undone AS (
    DELETE FROM %[1]s.erasures AS d USING %[1]s.events AS e, given
    WHERE d.consumer = $1 AND e.subject = d.user_id AND e.type = 'deleted' AND (e.turn, e.position) > (given.turn, given.position)
)
INSERT INTO %[1]s.erasures (user_id, consumer, erased_at)
SELECT e.subject, $1, $4 FROM %[1]s.events AS e, given
WHERE e.type = 'deleted' AND (e.turn, e.position) <= (given.turn, given.position)
    AND (e.turn, e.position) > (SELECT coalesce(max(c.turn), 0), coalesce(max(c.position), 0) FROM %[1]s.consumers AS c WHERE c.name = $1)
ON CONFLICT (user_id, consumer) DO NOTHING`
	deletedAt = "-- name: DeletedAt\nSELECT time FROM %[1]s.events WHERE subject = $1 AND type = 'deleted' ORDER BY version DESC LIMIT 1"
	consumers = `-- name: ErasedBy
SELECT c.name, d.erased_at FROM %[1]s.consumers AS c
LEFT JOIN %[1]s.erasures AS d ON d.consumer = c.name AND d.user_id = $1`
)

// Consumers implements events.Consumers with the tables consumers and erasures.
type Consumers struct {
	db *postgres.DB

	ahead, acknowledge, deletedAt, consumers string
}

// NewConsumers returns the consumers of a schema.
func NewConsumers(db *postgres.DB, schema string) Consumers {
	in := func(query string) string { return fmt.Sprintf(query, pgx.Identifier{schema}.Sanitize()) }
	return Consumers{db: db, ahead: in(ahead), acknowledge: in(acknowledge), deletedAt: in(deletedAt), consumers: in(consumers)}
}

// Acknowledge implements events.Consumers.
func (s Consumers) Acknowledge(ctx context.Context, name string, c events.Cursor, now time.Time) error {
	err := checkAhead(ctx, s.db, s.ahead, c)
	if err != nil {
		return err
	}
	_, err = s.db.Exec(ctx, s.acknowledge, name, c.Turn, c.Position, now)
	return postgres.Wrap(err)
}

// Erasure implements events.Consumers.
func (s Consumers) Erasure(ctx context.Context, subject uuid.UUID) (found events.Erasure, deleted bool, err error) {
	err = s.db.QueryRow(ctx, s.deletedAt, subject).Scan(&found.DeletedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return found, false, nil
	}
	if err != nil {
		return found, false, postgres.Wrap(err)
	}
	found.DeletedAt, found.Consumers = found.DeletedAt.UTC(), map[string]*time.Time{}
	rows, err := s.db.Query(ctx, s.consumers, subject)
	if err != nil {
		return found, false, postgres.Wrap(err)
	}
	var name string
	var at *time.Time
	_, err = pgx.ForEachRow(rows, []any{&name, &at}, func() error {
		found.Consumers[name] = at
		return nil
	})
	return found, true, postgres.Wrap(err)
}
