package service_test

import (
	"context"
	"fmt"
	"os"

	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/service"
)

func Example() {
	program := service.Program{
		Name: "shop-service", Summary: "keeps a shop", Config: &service.Config{Port: 8002, DatabaseURL: "sqlite://shop.db"},
		Describe: func(*httpapi.API) {}, // registers the operations
		Open:     func(context.Context, *service.Runtime) error { return nil },
	}
	code := program.Main(context.Background(), []string{"serve", "twice"}, os.Stdout, os.Stdout)
	fmt.Println(code == service.ExitUsage)
	// Output:
	// usage: shop-service [backup FILE-OR-FOLDER [KEEP]|config|copy SQLITE-FILE|healthcheck|migrate|openapi|restore FILE-OR-FOLDER|serve|version]
	// true
}
