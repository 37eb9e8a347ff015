// User-service is an HTTP API for users. It is configured by environment variables, which
// "user-service config" lists.
package main

import (
	"context"

	"github.com/example/microservices/pkg/database/transfer"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/services/user-service/internal/api"
	"github.com/example/microservices/services/user-service/internal/store/postgres"
	"github.com/example/microservices/services/user-service/internal/store/sqlite"
	"github.com/example/microservices/services/user-service/internal/user"
)

func main() { program(newConfiguration()).Exit() }

func program(c *configuration) service.Program {
	return service.Program{
		Name: "user-service", Summary: "stores users", Config: c,
		Data:     transfer.Store{Tables: []string{"users", "idempotency_keys", "events", "consumers", "erasures"}, SQLite: sqlite.Migrations, Postgres: postgres.Migrations},
		Store:    func(ctx context.Context) (service.Store, error) { return openStore(ctx, c) },
		Describe: func(a *httpapi.API) { api.Register(a, nil, nil, nil, nil) },
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
		return postgres.Open(ctx, c.DatabaseURL, c.Login, c.JoinStatements)
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
	emails, err := rt.Limits.Add("email", c.EmailLimit)
	if err != nil {
		return err
	}
	once := idempotency.NewOnce(s, c.IdempotencyTTL, rt.Metrics)
	rt.Every(idempotency.PurgeInterval, "purge_idempotency_keys", once.Purge)
	rt.Every(events.PurgeInterval, "purge_events", c.Purge(s))
	rt.Every(events.MeasureInterval, "measure_erasures", c.Consumers.Measure(s, api.ServiceName, rt.Metrics))
	api.Register(rt.API, user.New(s, api.LimitEmails(emails)), s, once, c.Consumers)
	return nil
}
