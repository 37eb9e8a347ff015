package postgreskeys_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/postgreskeys"
)

func Example() {
	ctx, login, migrations := context.Background(), database.Login{}, migration.Postgres("shop", os.DirFS("."), 1)
	db, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"), login, migrations)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	record, err := postgreskeys.New(db, "shop").Recorded(ctx, idempotency.Key{Caller: "ada", Value: "k"}, time.Now())
	switch {
	case errors.Is(err, idempotency.ErrNotFound):
		fmt.Println("handle the request")
	case err == nil:
		fmt.Println("answer again:", record.Answer.Status)
	default:
		fmt.Println(err)
	}
}
