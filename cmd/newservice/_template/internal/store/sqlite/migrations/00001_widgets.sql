-- +goose Up
CREATE TABLE widgets (
    id         TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    owner_id   TEXT    NOT NULL CHECK (length(owner_id) = 36),
    name       TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    quantity   INTEGER NOT NULL CHECK (quantity BETWEEN 0 AND 1000000),
    version    INTEGER NOT NULL CHECK (version > 0),
    -- Times are microseconds since 1970-01-01 00:00 UTC.
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- For lists by owner: reading a page needs no other rows.
CREATE INDEX widgets_owner ON widgets (owner_id, id);

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
-- A record's location ends with the id of its widget. Deleting the widget erases the record.
CREATE INDEX idempotency_keys_resource ON idempotency_keys (substr(location, -36));

-- +goose Down
DROP TABLE idempotency_keys;
DROP TABLE widgets;
