-- +goose Up
-- The changes of users. A trigger writes each event in the transaction of the change,
-- whether this version of the service makes it, an earlier one, or a person (docs/events.md).
CREATE TABLE events (
    -- For PostgreSQL. SQLite has one writer, so position is the order of commits.
    turn     INTEGER NOT NULL DEFAULT 0,
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    subject  TEXT    NOT NULL CHECK (length(subject) = 36),
    type     TEXT    NOT NULL CHECK (type IN ('created', 'updated', 'deleted')),
    version  INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    data     TEXT    NOT NULL
) STRICT;

-- For the events of one user, and to check whether it was deleted.
CREATE INDEX events_subject ON events (subject, version);

-- consumers: the cursor up to which each consumer has acknowledged the events.
-- erasures: when each consumer erased its data of a deleted user.
CREATE TABLE consumers (
    name     TEXT    NOT NULL PRIMARY KEY,
    turn     INTEGER NOT NULL,
    position INTEGER NOT NULL
) STRICT;
CREATE TABLE erasures (
    user_id   TEXT    NOT NULL,
    consumer  TEXT    NOT NULL,
    erased_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, consumer)
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER users_created AFTER INSERT ON users BEGIN
    -- A deleted user's id is never reused.
    SELECT RAISE(ABORT, 'users_deleted') WHERE EXISTS (SELECT 1 FROM events WHERE subject = NEW.id AND type = 'deleted');
    INSERT INTO events (subject, type, version, time, data)
    VALUES (NEW.id, 'created', NEW.version, NEW.created_at, json_object('version', NEW.version));
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER users_updated AFTER UPDATE ON users BEGIN
    INSERT INTO events (subject, type, version, time, data)
    VALUES (NEW.id, 'updated', NEW.version, NEW.updated_at, json_object('version', NEW.version, 'changed', json((
        SELECT json_group_array(field) FROM (
            SELECT 'name' AS field WHERE NEW.name IS NOT OLD.name
            UNION ALL SELECT 'email' WHERE NEW.email IS NOT OLD.email
            UNION ALL SELECT 'age' WHERE NEW.age IS NOT OLD.age)))));
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER users_removed AFTER DELETE ON users BEGIN
    INSERT INTO events (subject, type, version, time, data)
    VALUES (OLD.id, 'deleted', OLD.version + 1, CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000, json_object('version', OLD.version + 1));
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER users_removed;
DROP TRIGGER users_updated;
DROP TRIGGER users_created;
DROP TABLE erasures;
DROP TABLE consumers;
DROP TABLE events;
