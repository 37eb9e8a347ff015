-- +goose Up
-- A record's location ends with the id of its user. Deleting the user erases the record.
-- An index needs no new column, so it also covers records of earlier versions.
CREATE INDEX idempotency_keys_resource ON idempotency_keys (substr(location, -36));

-- +goose Down
DROP INDEX idempotency_keys_resource;
