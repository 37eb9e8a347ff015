package sqlite_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
)

func Example() {
	ctx, dir := context.Background(), must(os.MkdirTemp("", "example"))
	defer func() { _ = os.RemoveAll(dir) }()
	files := fstest.MapFS{"migrations/00001_things.sql": {Data: []byte("-- +goose Up\nCREATE TABLE things (name TEXT) STRICT;")}}
	db := must(sqlite.Open(filepath.Join(dir, "shop.db"), migration.SQLite(files, 1)))
	defer func() { _ = db.Close() }()
	fmt.Println(db.Migrate(ctx, slog.New(slog.DiscardHandler)))
	fmt.Println(db.Write(ctx, func(c *sqlite.Conn) error {
		_, err := c.Exec(ctx, "INSERT INTO things VALUES (?)", "lamp")
		return err
	}))
	fmt.Println(sqlite.One(ctx, db, func(r sqlite.Row) (string, error) { return r.Text(0), nil }, "SELECT name FROM things"))
	// Output:
	// <nil>
	// <nil>
	// lamp <nil>
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
