-- name: CreateWidget :exec
INSERT INTO widget_service.widgets (id, owner_id, name, quantity, version, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: CreateWidgetOnce :execrows
-- Inserts a widget and its idempotency record in one statement. It affects no row if the
-- key is in use; an expired record is replaced.
WITH record AS (
    INSERT INTO widget_service.idempotency_keys AS k
        (caller, key, fingerprint, status, location, etag, body, created_at, expires_at)
    VALUES (@caller, @key, @fingerprint, @status, @location, @etag, @body, @recorded_at, @expires_at)
    ON CONFLICT (caller, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
            etag = excluded.etag, body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
        WHERE k.expires_at <= excluded.created_at
    RETURNING 1
)
INSERT INTO widget_service.widgets (id, owner_id, name, quantity, version, created_at, updated_at)
SELECT @id::uuid, @owner_id::uuid, @name::text, @quantity::bigint, @version::bigint, @created_at::timestamptz, @updated_at::timestamptz
FROM record;

-- name: GetWidget :one
SELECT sqlc.embed(it)
FROM widget_service.widgets AS it
WHERE it.id = $1;

-- name: ListWidgets :many
SELECT sqlc.embed(it)
FROM widget_service.widgets AS it
WHERE it.id < @before AND it.id > @after_id
ORDER BY it.id DESC
LIMIT @row_limit;

-- name: ListWidgetsOfOwner :many
SELECT sqlc.embed(it)
FROM widget_service.widgets AS it
WHERE it.owner_id = @owner_id AND it.id < @before AND it.id > @after_id
ORDER BY it.id DESC
LIMIT @row_limit;

-- name: UpdateWidget :execrows
UPDATE widget_service.widgets
SET name = @name, quantity = @quantity, version = version + 1, updated_at = @updated_at
WHERE id = @id AND version = @stored_version;

-- name: DeleteWidget :one
-- Deletes a widget and erases its idempotency records, except their keys, in one statement.
-- Returns 1, or 0 if the stored version differs. An empty fingerprint marks an erased
-- record; the status 410 is only informational.
WITH deleted AS (
    DELETE FROM widget_service.widgets AS d WHERE d.id = @id AND d.version = @stored_version
    RETURNING d.id
), erased AS (
    UPDATE widget_service.idempotency_keys
    SET fingerprint = '', status = 410, location = '', etag = '', body = ''
    WHERE right(location, 36) = (SELECT id::text FROM deleted)
)
SELECT count(*) FROM deleted;
