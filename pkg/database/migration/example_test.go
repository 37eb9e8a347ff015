package migration_test

import (
	"fmt"
	"testing/fstest"

	"github.com/example/microservices/pkg/database/migration"
)

func Example() {
	files := fstest.MapFS{"migrations/00001_things.sql": {Data: []byte("-- +goose Up\nCREATE TABLE shop.things (name text);")}}
	set := migration.Postgres("shop", files, 1)
	fmt.Println(set.Table, set.Required)
	// Output: shop.goose_db_version 1
}
