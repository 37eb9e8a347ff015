-- name: CreateUser :exec
INSERT INTO user_service.users (id, name, email, email_key, age, version, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: CreateUserOnce :execrows
-- Inserts a user and its idempotency record in one statement. It affects no row if the key
-- is in use; an expired record is replaced.
WITH record AS (
    INSERT INTO user_service.idempotency_keys AS k
        (caller, key, fingerprint, status, location, etag, body, created_at, expires_at)
    VALUES (@caller, @key, @fingerprint, @status, @location, @etag, @body, @recorded_at, @expires_at)
    ON CONFLICT (caller, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
            etag = excluded.etag, body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
        WHERE k.expires_at <= excluded.created_at
    RETURNING 1
)
INSERT INTO user_service.users (id, name, email, email_key, age, version, created_at, updated_at)
SELECT @id::uuid, @name::text, @email::text, @email_key::text, sqlc.narg(age)::smallint, @version::bigint, @created_at::timestamptz, @updated_at::timestamptz
FROM record;

-- name: GetUser :one
SELECT id, name, email, email_key, age, version, created_at, updated_at
FROM user_service.users
WHERE id = $1;

-- name: GetUsers :many
SELECT id, name, email, email_key, age, version, created_at, updated_at
FROM user_service.users
WHERE id = ANY(@ids::uuid[]);

-- name: ExistingUsers :many
SELECT id FROM user_service.users WHERE id = ANY(@ids::uuid[]);

-- name: GetUserByEmail :one
SELECT id, name, email, email_key, age, version, created_at, updated_at
FROM user_service.users
WHERE email_key = $1;

-- name: ListUsers :many
SELECT id, name, email, email_key, age, version, created_at, updated_at
FROM user_service.users
WHERE id < $1
ORDER BY id DESC
LIMIT $2;

-- name: ListUsersByTime :many
SELECT id, name, email, email_key, age, version, created_at, updated_at
FROM user_service.users
WHERE (created_at, id) < (@at::timestamptz, @before::uuid) AND created_at > @after::timestamptz
ORDER BY created_at DESC, id DESC
LIMIT @row_limit;

-- name: UpdateUser :execrows
UPDATE user_service.users
SET name = @name, email = @email, email_key = @email_key, age = @age, version = version + 1, updated_at = @updated_at
WHERE id = @id AND version = @stored_version;

-- name: DeleteUser :one
-- Deletes a user and erases its idempotency records, except their keys, in one statement.
-- Returns 1, or 0 if the stored version differs. An empty fingerprint marks an erased
-- record; the status 410 is only informational.
WITH deleted AS (
    DELETE FROM user_service.users AS d WHERE d.id = @id AND d.version = @stored_version
    RETURNING d.id
), erased AS (
    UPDATE user_service.idempotency_keys
    SET fingerprint = '', status = 410, location = '', etag = '', body = ''
    WHERE right(location, 36) = (SELECT id::text FROM deleted)
)
SELECT count(*) FROM deleted;
