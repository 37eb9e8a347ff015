-- +goose Up
-- For lists with created_after or created_before. The id doesn't sort by creation if it is
-- the subject of a token.
CREATE INDEX IF NOT EXISTS users_created_at ON user_service.users (created_at, id);

-- +goose Down
DROP INDEX user_service.users_created_at;
