-- +goose Up
-- For lists with created_after or created_before. The id doesn't sort by creation if it is
-- the subject of a token.
CREATE INDEX users_created_at ON users (created_at, id);

-- +goose Down
DROP INDEX users_created_at;
