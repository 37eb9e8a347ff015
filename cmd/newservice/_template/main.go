// Widget-service is an HTTP API for widgets. It is configured by environment variables,
// which "widget-service config" lists.
package main

import (
	"context"

	"github.com/example/microservices/pkg/database/transfer"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/services/widget-service/internal/api"
	"github.com/example/microservices/services/widget-service/internal/store/postgres"
	"github.com/example/microservices/services/widget-service/internal/store/sqlite"
	"github.com/example/microservices/services/widget-service/internal/widget"
)

func main() { program(newConfiguration()).Exit() }

func program(c *configuration) service.Program {
	return service.Program{
		Name: "widget-service", Summary: "stores widgets", Config: c,
		Data:     transfer.Store{Tables: []string{"widgets", "idempotency_keys"}, SQLite: sqlite.Migrations, Postgres: postgres.Migrations},
		Store:    func(ctx context.Context) (service.Store, error) { return openStore(ctx, c) },
		Describe: func(a *httpapi.API) { api.Register(a, nil, nil, nil) },
		Open:     func(ctx context.Context, rt *service.Runtime) error { return open(ctx, c, rt) },
	}
}

// store is implemented by both kinds of database.
type store interface {
	service.Store
	api.Store
}

func openStore(ctx context.Context, c *configuration) (store, error) {
	if c.OnPostgres() {
		return postgres.Open(ctx, c.DatabaseURL, c.Login)
	}
	return sqlite.Open(c.SQLitePath())
}

// open connects the service's parts and registers its operations and background tasks.
func open(ctx context.Context, c *configuration, rt *service.Runtime) error {
	s, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	err = rt.Keep(ctx, s)
	if err != nil {
		return err
	}
	once := idempotency.NewOnce(s, c.IdempotencyTTL, rt.Metrics)
	rt.Every(idempotency.PurgeInterval, "purge_idempotency_keys", once.Purge)
	api.Register(rt.API, widget.New(s), s, once)
	return nil
}
