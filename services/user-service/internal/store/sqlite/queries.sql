-- name: CreateUser :exec
INSERT INTO users (id, name, email, email_key, age, version, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: RecordIdempotencyKey :execrows
-- No row when the key is taken. A key whose time has run out is taken over.
INSERT INTO idempotency_keys (caller, key, fingerprint, status, location, etag, body, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (caller, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
        etag = excluded.etag, body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
    WHERE idempotency_keys.expires_at <= excluded.created_at;

-- name: GetUser :one
SELECT id, name, email, email_key, age, version, created_at, updated_at
FROM users
WHERE id = ?;

-- name: GetUserByEmail :one
SELECT id, name, email, email_key, age, version, created_at, updated_at
FROM users
WHERE email_key = ?;

-- name: ListUsers :many
SELECT id, name, email, email_key, age, version, created_at, updated_at
FROM users
WHERE id < sqlc.arg(before)
ORDER BY id DESC
LIMIT sqlc.arg(row_limit);

-- name: ListUsersByTime :many
SELECT id, name, email, email_key, age, version, created_at, updated_at
FROM users
WHERE (created_at, id) < (sqlc.arg(at), CAST(sqlc.arg(before) AS TEXT)) AND created_at > sqlc.arg(after)
ORDER BY created_at DESC, id DESC
LIMIT sqlc.arg(row_limit);

-- name: UpdateUser :execrows
UPDATE users
SET name = sqlc.arg(name), email = sqlc.arg(email), email_key = sqlc.arg(email_key), age = sqlc.arg(age), version = version + 1, updated_at = sqlc.arg(updated_at)
WHERE id = sqlc.arg(id) AND version = sqlc.arg(stored_version);

-- name: DeleteUser :execrows
DELETE FROM users
WHERE id = ? AND version = ?;

-- name: EraseIdempotencyKeys :exec
-- Of the answers about a resource, all but their keys. 410 is for who reads the table;
-- that a fingerprint is empty says that the record is erased.
UPDATE idempotency_keys
SET fingerprint = x'', status = 410, location = '', etag = '', body = x''
WHERE substr(location, -36) = sqlc.arg(resource);

-- name: GetIdempotencyKey :one
SELECT fingerprint, status, location, etag, body, created_at, expires_at
FROM idempotency_keys
WHERE caller = ? AND key = ? AND expires_at > sqlc.arg(at);

-- name: PurgeIdempotencyKeys :execrows
DELETE FROM idempotency_keys
WHERE rowid IN (
    SELECT k.rowid FROM idempotency_keys AS k
    WHERE k.expires_at <= sqlc.arg(at)
    ORDER BY k.expires_at
    LIMIT sqlc.arg(row_limit)
);
