package postgresevents_test

import (
	"context"
	"fmt"
	"os"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/events/postgresevents"
)

func Example() {
	ctx, login, migrations := context.Background(), database.Login{}, migration.Postgres("shop", os.DirFS("."), 1)
	db, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"), login, migrations)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	all := postgresevents.New(db, "shop", false)
	for at := (events.Cursor{}); ; { // reads all events, and then polls
		found, err := all.EventsAfter(ctx, at, 100)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, e := range found {
			fmt.Println(e.Type, e.Subject)
			at = e.Cursor
		}
	}
}
