-- +goose Up
-- When the shipping address was erased (and is '-' since), and which kind of caller
-- changed the order last.
ALTER TABLE orders ADD COLUMN erased_at INTEGER;
ALTER TABLE orders ADD COLUMN changed_by TEXT NOT NULL DEFAULT 'anyone' CHECK (changed_by IN ('anyone', 'customer', 'fulfilment', 'admin', 'erasure'));

-- What happens to orders, in the transaction in which it happens, whoever does it: this
-- version of the service, an earlier one, or a hand (docs/events.md).
CREATE TABLE events (
    -- For PostgreSQL. Here there is one writer, and position is the order of commits.
    turn     INTEGER NOT NULL DEFAULT 0,
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    subject  TEXT    NOT NULL CHECK (length(subject) = 36),
    type     TEXT    NOT NULL CHECK (type IN ('created', 'updated', 'deleted')),
    version  INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    data     TEXT    NOT NULL
) STRICT;

-- What happened to one order.
CREATE INDEX events_subject ON events (subject, version);

-- Up to where the events of other services have had their effect.
CREATE TABLE followed (
    source TEXT NOT NULL PRIMARY KEY,
    cursor TEXT NOT NULL
) STRICT;

-- Users who were deleted. There are no new orders for them.
CREATE TABLE erased_users (
    user_id   TEXT    NOT NULL PRIMARY KEY,
    erased_at INTEGER NOT NULL
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER orders_created AFTER INSERT ON orders BEGIN
    SELECT RAISE(ABORT, 'orders_user_erased') WHERE EXISTS (SELECT 1 FROM erased_users WHERE user_id = NEW.user_id);
    INSERT INTO events (subject, type, version, time, data)
    VALUES (NEW.id, 'created', NEW.version, NEW.created_at,
        json_object('version', NEW.version, 'user_id', NEW.user_id, 'to', NEW.status, 'by', NEW.changed_by));
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER orders_updated AFTER UPDATE ON orders BEGIN
    INSERT INTO events (subject, type, version, time, data)
    VALUES (NEW.id, 'updated', NEW.version, NEW.updated_at, json_patch(
        json_object('version', NEW.version, 'user_id', NEW.user_id, 'by', NEW.changed_by, 'changed', json((
            SELECT json_group_array(field) FROM (
                SELECT 'status' AS field WHERE NEW.status IS NOT OLD.status
                UNION ALL SELECT 'items' WHERE NEW.items IS NOT OLD.items
                UNION ALL SELECT 'shipping_address' WHERE NEW.shipping_address IS NOT OLD.shipping_address)))),
        CASE WHEN NEW.status IS NOT OLD.status THEN json_object('from', OLD.status, 'to', NEW.status) ELSE '{}' END));
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER orders_removed AFTER DELETE ON orders BEGIN
    INSERT INTO events (subject, type, version, time, data)
    VALUES (OLD.id, 'deleted', OLD.version + 1, CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000,
        json_object('version', OLD.version + 1, 'user_id', OLD.user_id, 'from', OLD.status));
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER orders_removed;
DROP TRIGGER orders_updated;
DROP TRIGGER orders_created;
DROP TABLE erased_users;
DROP TABLE followed;
DROP TABLE events;
ALTER TABLE orders DROP COLUMN changed_by;
ALTER TABLE orders DROP COLUMN erased_at;
