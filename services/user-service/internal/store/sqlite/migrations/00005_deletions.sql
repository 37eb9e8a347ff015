-- +goose Up
-- For acknowledgements, which read the deletions between two cursors.
CREATE INDEX events_deleted ON events (position, subject) WHERE type = 'deleted';

-- +goose Down
DROP INDEX events_deleted;
