-- +goose Up
-- erased_at: when the shipping address was erased; it is '-' since then.
-- changed_by: the kind of caller that changed the order last.
ALTER TABLE orders ADD COLUMN erased_at INTEGER;
ALTER TABLE orders ADD COLUMN changed_by TEXT NOT NULL DEFAULT 'anyone' CHECK (changed_by IN ('anyone', 'customer', 'fulfilment', 'admin', 'erasure'));

-- The changes of orders. A trigger writes each event in the transaction of the change,
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

-- For the events of one order.
CREATE INDEX events_subject ON events (subject, version);

-- For each followed service, the cursor up to which its events are applied.
CREATE TABLE followed (
    source TEXT NOT NULL PRIMARY KEY,
    cursor TEXT NOT NULL
) STRICT;

-- Deleted users. They can have no new orders.
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
