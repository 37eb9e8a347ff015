-- +goose Up
CREATE TABLE order_service.orders (
    id               uuid           PRIMARY KEY,
    user_id          uuid           NOT NULL,
    items            jsonb          NOT NULL CHECK (jsonb_array_length(items) BETWEEN 1 AND 100),
    shipping_address text           NOT NULL CHECK (char_length(shipping_address) BETWEEN 1 AND 500),
    status           text           NOT NULL CHECK (status IN ('pending', 'confirmed', 'shipped', 'delivered', 'cancelled')),
    total_amount     numeric(14, 2) NOT NULL CHECK (total_amount BETWEEN 0 AND 999999999999.99),
    version          bigint         NOT NULL CHECK (version > 0),
    created_at       timestamptz    NOT NULL,
    updated_at       timestamptz    NOT NULL,
    -- Every item has a quantity and a price within bounds.
    CONSTRAINT orders_items_amounts CHECK (NOT jsonb_path_exists(items,
        '$[*] ? (!(@.quantity >= 1 && @.quantity <= 1000000 && @.price >= 0 && @.price <= 99999999.99))'))
);

-- One index for each filter of a list: reading a page needs no other rows.
CREATE INDEX orders_user ON order_service.orders (user_id, id);
CREATE INDEX orders_status ON order_service.orders (status, id);
CREATE INDEX orders_user_status ON order_service.orders (user_id, status, id);

CREATE TABLE order_service.idempotency_keys (
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

CREATE INDEX idempotency_keys_expires_at ON order_service.idempotency_keys (expires_at);

-- +goose Down
DROP TABLE order_service.idempotency_keys;
DROP TABLE order_service.orders;
