-- +goose Up
CREATE TABLE orders (
    id               TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    user_id          TEXT    NOT NULL CHECK (length(user_id) = 36),
    items            TEXT    NOT NULL CHECK (json_array_length(items) BETWEEN 1 AND 100),
    shipping_address TEXT    NOT NULL CHECK (length(shipping_address) BETWEEN 1 AND 500),
    status           TEXT    NOT NULL CHECK (status IN ('pending', 'confirmed', 'shipped', 'delivered', 'cancelled')),
    -- In hundredths, because SQLite has no decimal type.
    total_amount     INTEGER NOT NULL CHECK (total_amount BETWEEN 0 AND 99999999999999),
    version          INTEGER NOT NULL CHECK (version > 0),
    -- Times are microseconds since 1970-01-01 00:00 UTC.
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One index for each filter of a list: reading a page needs no other rows.
CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_status ON orders (status, id);
CREATE INDEX orders_user_status ON orders (user_id, status, id);

CREATE TABLE idempotency_keys (
    caller      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    status      INTEGER NOT NULL,
    location    TEXT    NOT NULL,
    etag        TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT;

CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);

-- +goose Down
DROP TABLE idempotency_keys;
DROP TABLE orders;
