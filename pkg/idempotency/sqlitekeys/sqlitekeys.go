// Package sqlitekeys implements idempotency.Store on SQLite, with the table
// idempotency_keys of the service's migrations.
package sqlitekeys

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/idempotency"
)

const (
	// add changes no row if the key is taken. It overwrites an expired record.
	add = `-- name: RecordIdempotencyKey
INSERT INTO idempotency_keys (caller, key, fingerprint, status, location, etag, body, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (caller, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
        etag = excluded.etag, body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
    WHERE idempotency_keys.expires_at <= excluded.created_at`
	get = `-- name: GetIdempotencyKey
SELECT fingerprint, status, location, etag, body, created_at, expires_at
FROM idempotency_keys
WHERE caller = ? AND key = ? AND expires_at > ?`
	// erase removes everything but the keys and times from the records of a resource. An
	// empty fingerprint marks them as erased; status 410 is for people who read the table.
	erase = `-- name: EraseIdempotencyKeys
UPDATE idempotency_keys
SET fingerprint = x'', status = 410, location = '', etag = '', body = x''
WHERE substr(location, -36) = ?`
	purge = `-- name: PurgeIdempotencyKeys
DELETE FROM idempotency_keys
WHERE rowid IN (
    SELECT k.rowid FROM idempotency_keys AS k
    WHERE k.expires_at <= ?
    ORDER BY k.expires_at
    LIMIT ?+0
)`
)

// Keys implements idempotency.Store.
type Keys struct{ DB *sqlite.DB }

// Recorded implements idempotency.Store.
func (k Keys) Recorded(ctx context.Context, key idempotency.Key, now time.Time) (idempotency.Record, error) {
	record, err := sqlite.One(ctx, k.DB, scan, get, key.Caller, key.Value, now)
	if errors.Is(err, sqlite.ErrNoRow) {
		err = idempotency.ErrNotFound
	}
	record.Key = key
	return record, err
}

func scan(r sqlite.Row) (idempotency.Record, error) {
	return idempotency.Record{
		Fingerprint: r.Bytes(0),
		Answer:      idempotency.Answer{Status: int(r.Int(1)), Location: r.Text(2), ETag: r.Text(3), Body: r.Bytes(4)},
		CreatedAt:   r.Time(5), ExpiresAt: r.Time(6),
	}, nil
}

// Purge implements idempotency.Store.
func (k Keys) Purge(ctx context.Context, now time.Time, limit int) (n int, err error) {
	err = k.DB.Write(ctx, func(c *sqlite.Conn) (err error) {
		n, err = c.Exec(ctx, purge, now, limit)
		return err
	})
	return n, err
}

// Add adds a record, unless it is nil, in the write that has the request's effect. It
// returns idempotency.ErrTaken if the key is taken.
func Add(ctx context.Context, c *sqlite.Conn, r *idempotency.Record) error {
	if r == nil {
		return nil
	}
	n, err := c.Exec(ctx, add, r.Key.Caller, r.Key.Value, r.Fingerprint, r.Answer.Status, r.Answer.Location, r.Answer.ETag, r.Answer.Body, r.CreatedAt, r.ExpiresAt)
	if err == nil && n == 0 {
		return idempotency.ErrTaken
	}
	return err
}

// Erase erases the records of a resource, in the write that deletes the resource.
func Erase(ctx context.Context, c *sqlite.Conn, resource uuid.UUID) error {
	_, err := c.Exec(ctx, erase, resource)
	return err
}
