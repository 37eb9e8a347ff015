package database_test

import (
	"fmt"

	"github.com/example/microservices/pkg/database"
)

func Example() {
	for _, address := range []string{"postgres://app:secret@db:5432/shop", "sqlite://shop.db"} {
		kind, err := database.KindOf(address)
		fmt.Println(kind, database.Place(address), err)
	}
	// Output:
	// postgres postgres://db:5432/shop <nil>
	// sqlite sqlite://shop.db <nil>
}
