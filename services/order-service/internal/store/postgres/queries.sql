-- name: CreateOrder :exec
INSERT INTO order_service.orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: CreateOrderOnce :execrows
-- Inserts an order and its idempotency record in one statement. It affects no row if the
-- key is in use; an expired record is replaced.
WITH record AS (
    INSERT INTO order_service.idempotency_keys AS k
        (caller, key, fingerprint, status, location, etag, body, created_at, expires_at)
    VALUES (@caller, @key, @fingerprint, @answer_status, @location, @etag, @body, @recorded_at, @expires_at)
    ON CONFLICT (caller, key) DO UPDATE
        SET fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
            etag = excluded.etag, body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
        WHERE k.expires_at <= excluded.created_at
    RETURNING 1
)
INSERT INTO order_service.orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by)
SELECT @id::uuid, @user_id::uuid, @items::jsonb, @shipping_address::text, @status::text, @total_amount::numeric, @version::bigint, @created_at::timestamptz, @updated_at::timestamptz, sqlc.narg(erased_at)::timestamptz, @changed_by::text
FROM record;

-- name: GetOrder :one
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by
FROM order_service.orders
WHERE id = $1;

-- name: GetOrders :many
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by
FROM order_service.orders
WHERE id = ANY(@ids::uuid[]);

-- name: ListOrders :many
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by
FROM order_service.orders
WHERE id < @before AND id > @after_id
ORDER BY id DESC
LIMIT @row_limit;

-- name: ListOrdersOfUser :many
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by
FROM order_service.orders
WHERE user_id = @user_id AND id < @before AND id > @after_id
ORDER BY id DESC
LIMIT @row_limit;

-- name: ListOrdersInStatus :many
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by
FROM order_service.orders
WHERE status = @status AND id < @before AND id > @after_id
ORDER BY id DESC
LIMIT @row_limit;

-- name: ListOrdersOfUserInStatus :many
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by
FROM order_service.orders
WHERE user_id = @user_id AND status = @status AND id < @before AND id > @after_id
ORDER BY id DESC
LIMIT @row_limit;

-- name: UpdateOrder :execrows
UPDATE order_service.orders
SET items = @items, shipping_address = @shipping_address, status = @status, total_amount = @total_amount, version = version + 1, updated_at = @updated_at, erased_at = @erased_at, changed_by = @changed_by
WHERE id = @id AND version = @stored_version;

-- name: DeleteOrder :one
-- Deletes an order and erases its idempotency records, except their keys, in one statement.
-- Returns 1, or 0 if the stored version differs. An empty fingerprint marks an erased
-- record; the status 410 is only informational.
WITH deleted AS (
    DELETE FROM order_service.orders AS d WHERE d.id = @id AND d.version = @stored_version
    RETURNING d.id
), erased AS (
    UPDATE order_service.idempotency_keys
    SET fingerprint = '', status = 410, location = '', etag = '', body = ''
    WHERE right(location, 36) = (SELECT id::text FROM deleted)
)
SELECT count(*) FROM deleted;

-- name: NoteErasedUser :exec
-- Writes a user's tombstone. Once it is committed, no order of the user can be inserted:
-- the trigger of orders takes the same lock in shared mode.
WITH alone AS (
    SELECT pg_advisory_xact_lock(hashtextextended(sqlc.arg(lock_name)::text, 0))
)
INSERT INTO order_service.erased_users (user_id, erased_at)
SELECT @user_id::uuid, @erased_at::timestamptz FROM alone
ON CONFLICT (user_id) DO NOTHING;

-- name: EraseOrders :one
-- Erases at most row_limit orders of a user, and deletes their idempotency records. Returns
-- the number of orders.
WITH chosen AS (
    SELECT o.id FROM order_service.orders AS o
    WHERE o.user_id = @user_id AND o.erased_at IS NULL
    LIMIT @row_limit
    FOR UPDATE
), records AS (
    DELETE FROM order_service.idempotency_keys WHERE right(location, 36) IN (SELECT c.id::text FROM chosen AS c)
), erased AS (
    UPDATE order_service.orders AS d
    SET status = CASE WHEN d.status IN ('pending', 'confirmed') THEN 'cancelled' ELSE d.status END, shipping_address = @placeholder,
        erased_at = @erased_at, changed_by = 'erasure', version = d.version + 1, updated_at = greatest(d.updated_at, @erased_at)
    WHERE d.id IN (SELECT c.id FROM chosen AS c)
    RETURNING d.id
)
SELECT count(*) FROM erased;

-- name: Followed :one
SELECT cursor FROM order_service.followed WHERE source = $1;

-- name: MoveFollowed :execrows
INSERT INTO order_service.followed (source, cursor) VALUES (@source, @moved_to)
ON CONFLICT (source) DO UPDATE SET cursor = excluded.cursor WHERE followed.cursor = @moved_from;
