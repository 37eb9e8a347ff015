-- +goose Up
-- For lists of a time. Ids don't sort by creation where the issuer of tokens made them.
CREATE INDEX IF NOT EXISTS users_created_at ON user_service.users (created_at, id);

-- +goose Down
DROP INDEX user_service.users_created_at;
