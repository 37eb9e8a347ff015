// Order-service is an HTTP API for the orders of user-service's users. It is configured by
// environment variables, which "order-service config" lists.
package main

import (
	"context"
	"io"

	"github.com/example/microservices/pkg/database/transfer"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/health"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/services/order-service/internal/api"
	"github.com/example/microservices/services/order-service/internal/order"
	"github.com/example/microservices/services/order-service/internal/store/postgres"
	"github.com/example/microservices/services/order-service/internal/store/sqlite"
	"github.com/example/microservices/services/order-service/internal/userclient"
)

func main() { program(newConfiguration()).Exit() }

func program(c *configuration) service.Program {
	return service.Program{
		Name: "order-service", Summary: "stores orders", Config: c,
		Data:     transfer.Store{Tables: []string{"orders", "idempotency_keys", "events", "followed", "erased_users"}, SQLite: sqlite.Migrations, Postgres: postgres.Migrations},
		Store:    func(ctx context.Context) (service.Store, error) { return openStore(ctx, c) },
		Describe: func(a *httpapi.API) { api.Register(a, nil, nil, nil) },
		Open:     func(ctx context.Context, rt *service.Runtime) error { return open(ctx, c, rt) },
		Extra:    map[string]func(context.Context, io.Writer) error{"smoke": smoke},
	}
}

// store is implemented by both kinds of database.
type store interface {
	service.Store
	api.Store
	events.Sink
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
	users, err := userclient.New(c.UserClient, rt.Log, rt.Metrics)
	if err != nil {
		return err
	}
	rt.OnClose(func() error { users.Close(); return nil })
	rt.Need(health.Dependency{Name: "user-service", Required: c.ReadinessUserService == "required", Check: users.Ready})
	kept := api.Charge(s)
	once := idempotency.NewOnce(kept, c.IdempotencyTTL, rt.Metrics)
	rt.Every(idempotency.PurgeInterval, "purge_idempotency_keys", once.Purge)
	rt.Every(events.PurgeInterval, "purge_events", c.Purge(s))
	rt.Run(follower(users, s, rt).Run)
	api.Register(rt.API, order.New(kept, users), kept, once)
	return nil
}

// follower returns the consumer of user-service's event feed. When a user is deleted, it
// erases the personal data in the user's orders.
func follower(users *userclient.Client, s store, rt *service.Runtime) *events.Follower {
	f := &events.Follower{
		Source: "user-service", Name: "order-service", Sink: s, Log: rt.Log,
		Concerns: func(e events.Event) bool { return e.Type == events.Deleted },
	}
	f.URL, f.Client = users.Feed()
	f.Register(rt.Metrics)
	return f
}
