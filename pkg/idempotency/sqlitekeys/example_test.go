package sqlitekeys_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/sqlitekeys"
)

func Example() {
	ctx, now := context.Background(), time.Now()
	dir := must(os.MkdirTemp("", "example"))
	defer func() { _ = os.RemoveAll(dir) }()
	migrations := migration.SQLite(os.DirFS("../../../services/user-service/internal/store/sqlite"), 1) // has the table
	db := must(sqlite.Open(filepath.Join(dir, "shop.db"), migrations))
	defer func() { _ = db.Close() }()
	fmt.Println(db.Migrate(ctx, slog.New(slog.DiscardHandler)))

	key := idempotency.Key{Caller: "ada", Value: "k"}
	record := &idempotency.Record{
		Key: key, Fingerprint: []byte{1}, Answer: idempotency.Answer{Status: http.StatusCreated, Location: "", ETag: "", Body: []byte("made")},
		CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	for range 2 {
		err := db.Write(ctx, func(c *sqlite.Conn) error { return sqlitekeys.Add(ctx, c, record) }) // with the effect
		fmt.Println(errors.Is(err, idempotency.ErrTaken))
	}
	found := must(sqlitekeys.Keys{DB: db}.Recorded(ctx, key, now))
	fmt.Println(string(found.Answer.Body))
	// Output:
	// <nil>
	// false
	// true
	// made
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
