// Package postgreskeys implements idempotency.Store on PostgreSQL, with the table
// idempotency_keys of the service's migrations. It adds no records: the service does, in
// the statement that has the request's effect.
package postgreskeys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/idempotency"
)

const (
	recorded = `-- name: GetIdempotencyKey
SELECT fingerprint, status, location, etag, body, created_at, expires_at
FROM %s.idempotency_keys
WHERE caller = $1 AND key = $2 AND expires_at > $3`
	purge = `-- name: PurgeIdempotencyKeys
DELETE FROM %[1]s.idempotency_keys
WHERE (caller, key) IN (
    SELECT k.caller, k.key FROM %[1]s.idempotency_keys AS k
    WHERE k.expires_at <= $1
    ORDER BY k.expires_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)`
)

// Keys implements idempotency.Store.
type Keys struct {
	db *postgres.DB

	recorded, purge string
}

// New returns the keys of a schema.
func New(db *postgres.DB, schema string) Keys {
	name := pgx.Identifier{schema}.Sanitize()
	return Keys{db, fmt.Sprintf(recorded, name), fmt.Sprintf(purge, name)}
}

// Recorded implements idempotency.Store.
func (k Keys) Recorded(ctx context.Context, key idempotency.Key, now time.Time) (idempotency.Record, error) {
	r := idempotency.Record{Key: key}
	a := &r.Answer
	err := k.db.QueryRow(ctx, k.recorded, key.Caller, key.Value, now).Scan(&r.Fingerprint, &a.Status, &a.Location, &a.ETag, &a.Body, &r.CreatedAt, &r.ExpiresAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return idempotency.Record{}, idempotency.ErrNotFound
	}
	if err != nil {
		return idempotency.Record{}, postgres.Wrap(err)
	}
	r.CreatedAt, r.ExpiresAt = r.CreatedAt.UTC(), r.ExpiresAt.UTC()
	return r, nil
}

// Purge implements idempotency.Store.
func (k Keys) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	tag, err := k.db.Exec(ctx, k.purge, now, limit)
	return int(tag.RowsAffected()), postgres.Wrap(err)
}
