-- +goose Up
-- For acknowledgements, which read the deletions between two cursors.
CREATE INDEX IF NOT EXISTS events_deleted ON user_service.events (turn, position) INCLUDE (subject) WHERE type = 'deleted';

-- +goose Down
DROP INDEX user_service.events_deleted;
