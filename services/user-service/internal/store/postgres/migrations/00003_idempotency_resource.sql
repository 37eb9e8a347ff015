-- +goose Up
-- A record's location ends with the id of its user. Deleting the user erases the record.
-- An index needs no new column, so it also covers records of earlier versions.
CREATE INDEX IF NOT EXISTS idempotency_keys_resource ON user_service.idempotency_keys (right(location, 36));

-- +goose Down
DROP INDEX user_service.idempotency_keys_resource;
