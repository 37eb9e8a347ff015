-- +goose Up
-- For lists of a time. Ids don't sort by creation where the issuer of tokens made them.
CREATE INDEX users_created_at ON users (created_at, id);

-- +goose Down
DROP INDEX users_created_at;
