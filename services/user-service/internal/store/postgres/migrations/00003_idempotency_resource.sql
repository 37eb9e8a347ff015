-- +goose Up
-- An answer's location ends with the id of the user that it is about. Who deletes that
-- erases the answers. (An index, not a column: it also finds what earlier versions keep.)
CREATE INDEX IF NOT EXISTS idempotency_keys_resource ON user_service.idempotency_keys (right(location, 36));

-- +goose Down
DROP INDEX user_service.idempotency_keys_resource;
