package postgres_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
)

func Example() {
	set := migration.Postgres("shop", fstest.MapFS{}, 0)
	_, err := postgres.Open(context.Background(), "postgres://app:p@ss/w#rd@db/shop", database.Login{}, set)
	fmt.Println(err) // without any part of the password
	// Output: DATABASE_URL has a # in it; percent-encode the user and the password, each by itself: @ is %40, / is %2F, ? is %3F, # is %23, % is %25
}
