-- name: CreateOrder :exec
INSERT INTO orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: RecordIdempotencyKey :execrows
-- No row when the key is taken. A key whose time has run out is taken over.
INSERT INTO idempotency_keys (caller, key, fingerprint, status, location, etag, body, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (caller, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, status = excluded.status, location = excluded.location,
        etag = excluded.etag, body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at
    WHERE idempotency_keys.expires_at <= excluded.created_at;

-- name: GetOrder :one
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at
FROM orders
WHERE id = ?;

-- name: ListOrders :many
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at
FROM orders
WHERE id < sqlc.arg(before) AND id > sqlc.arg(after_id)
ORDER BY id DESC
LIMIT sqlc.arg(row_limit);

-- name: ListOrdersOfUser :many
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at
FROM orders
WHERE user_id = sqlc.arg(user_id) AND id < sqlc.arg(before) AND id > sqlc.arg(after_id)
ORDER BY id DESC
LIMIT sqlc.arg(row_limit);

-- name: ListOrdersInStatus :many
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at
FROM orders
WHERE status = sqlc.arg(status) AND id < sqlc.arg(before) AND id > sqlc.arg(after_id)
ORDER BY id DESC
LIMIT sqlc.arg(row_limit);

-- name: ListOrdersOfUserInStatus :many
-- Left to itself SQLite takes orders_status, and looks at everybody's.
SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at
FROM orders INDEXED BY orders_user_status
WHERE user_id = sqlc.arg(user_id) AND status = sqlc.arg(status) AND id < sqlc.arg(before) AND id > sqlc.arg(after_id)
ORDER BY id DESC
LIMIT sqlc.arg(row_limit);

-- name: UpdateOrder :execrows
UPDATE orders
SET items = sqlc.arg(items), shipping_address = sqlc.arg(shipping_address), status = sqlc.arg(status), total_amount = sqlc.arg(total_amount), version = version + 1, updated_at = sqlc.arg(updated_at)
WHERE id = sqlc.arg(id) AND version = sqlc.arg(stored_version);

-- name: DeleteOrder :execrows
DELETE FROM orders
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
