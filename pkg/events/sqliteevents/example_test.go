package sqliteevents_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/events/sqliteevents"
)

// schema stands for a service's migrations: a table, and a trigger for each kind of
// change.
const schema = `-- +goose Up
CREATE TABLE things (id TEXT PRIMARY KEY, name TEXT) STRICT;
CREATE TABLE events (
    turn INTEGER NOT NULL DEFAULT 0, position INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL, type TEXT NOT NULL, version INTEGER NOT NULL, time INTEGER NOT NULL, data TEXT NOT NULL
) STRICT;
-- +goose StatementBegin
CREATE TRIGGER things_created AFTER INSERT ON things BEGIN
    INSERT INTO events (subject, type, version, time, data) VALUES (NEW.id, 'created', 1, 0, '{}');
END;
-- +goose StatementEnd`

func Example() {
	ctx, dir := context.Background(), must(os.MkdirTemp("", "example"))
	defer func() { _ = os.RemoveAll(dir) }()
	files := fstest.MapFS{"migrations/00001_things.sql": {Data: []byte(schema)}}
	db := must(sqlite.Open(filepath.Join(dir, "shop.db"), migration.SQLite(files, 1)))
	defer func() { _ = db.Close() }()
	fmt.Println(db.Migrate(ctx, slog.New(slog.DiscardHandler)))
	fmt.Println(db.Write(ctx, func(c *sqlite.Conn) error {
		_, err := c.Exec(ctx, "INSERT INTO things VALUES ('019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d', 'lamp')")
		return err
	}))
	for _, e := range must(sqliteevents.New(db, false).EventsAfter(ctx, events.Cursor{}, 10)) {
		fmt.Println(e.Type, e.Subject)
	}
	// Output:
	// <nil>
	// <nil>
	// created 019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
