-- +goose Up
-- Each write creates a row, which lives for a day. By default autovacuum waits until a
-- fifth of the table is dead.
ALTER TABLE user_service.idempotency_keys SET (autovacuum_vacuum_scale_factor = 0.02);

-- +goose Down
ALTER TABLE user_service.idempotency_keys RESET (autovacuum_vacuum_scale_factor);
