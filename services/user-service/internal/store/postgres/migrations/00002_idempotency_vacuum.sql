-- +goose Up
-- A row lives for a day, and each write makes one. By default the dead ones are
-- cleared away only when they are a fifth of the table.
ALTER TABLE user_service.idempotency_keys SET (autovacuum_vacuum_scale_factor = 0.02);

-- +goose Down
ALTER TABLE user_service.idempotency_keys RESET (autovacuum_vacuum_scale_factor);
