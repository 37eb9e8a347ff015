-- +goose Up
CREATE TABLE user_service.users (
    id         uuid        PRIMARY KEY,
    name       text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    email      text        NOT NULL CHECK (octet_length(email) <= 254),
    -- The address as compared: in lower case, with its domain in ASCII.
    email_key  text        NOT NULL CONSTRAINT users_email_key_unique UNIQUE,
    age        smallint    CHECK (age BETWEEN 0 AND 150),
    version    bigint      NOT NULL CHECK (version > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE user_service.idempotency_keys (
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
);

CREATE INDEX idempotency_keys_expires_at ON user_service.idempotency_keys (expires_at);

-- +goose Down
DROP TABLE user_service.idempotency_keys;
DROP TABLE user_service.users;
