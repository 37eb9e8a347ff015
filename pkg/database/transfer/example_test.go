package transfer_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing/fstest"

	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/transfer"
)

func Example() {
	shop := transfer.Store{
		Tables:   []string{"things"},
		SQLite:   migration.SQLite(fstest.MapFS{}, 0),
		Postgres: migration.Postgres("shop", fstest.MapFS{}, 0),
	}
	_, err := shop.Backup(context.Background(), "nowhere.db", "backup.db", 0, slog.New(slog.DiscardHandler))
	fmt.Println(err)
	// Output: back nowhere.db up: there is no file nowhere.db
}
