-- +goose Up
CREATE TABLE widget_service.widgets (
    id         uuid        PRIMARY KEY,
    owner_id   uuid        NOT NULL,
    name       text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    quantity   bigint      NOT NULL CHECK (quantity BETWEEN 0 AND 1000000),
    version    bigint      NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- For lists by owner: reading a page needs no other rows.
CREATE INDEX widgets_owner ON widget_service.widgets (owner_id, id);

CREATE TABLE widget_service.idempotency_keys (
    caller      text        NOT NULL,
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    status      integer     NOT NULL,
    location    text        NOT NULL,
    etag        text        NOT NULL,
    body        bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (caller, key)
-- Each write creates a row, which lives for a day. By default autovacuum waits until a
-- fifth of the table is dead.
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX idempotency_keys_expires_at ON widget_service.idempotency_keys (expires_at);
-- A record's location ends with the id of its widget. Deleting the widget erases the record.
CREATE INDEX idempotency_keys_resource ON widget_service.idempotency_keys (right(location, 36));

-- +goose Down
DROP TABLE widget_service.idempotency_keys;
DROP TABLE widget_service.widgets;
