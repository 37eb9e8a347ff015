// User-service keeps users. It is configured by the environment;
// "user-service config" lists the variables.
package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/transfer"
	"github.com/example/microservices/pkg/health"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/services/user-service/internal/api"
	"github.com/example/microservices/services/user-service/internal/store/postgres"
	"github.com/example/microservices/services/user-service/internal/store/sqlite"
	"github.com/example/microservices/services/user-service/internal/user"
)

const (
	name = "user-service"
	port = 8000 // unless PORT says otherwise
)

func main() { program(&configuration{Config: service.Config{Port: port}}).Exit() }

func program(c *configuration) service.Program {
	return service.Program{
		Name:    name,
		Summary: "keeps users",
		Config:  c,
		Open:    func(ctx context.Context, rt service.Runtime) (*service.App, error) { return open(ctx, c, rt) },
		Migrate: func(ctx context.Context, log *slog.Logger) error { return migrate(ctx, c, log) },
		Data:    func() service.Data { return service.Data{Store: kept(), Address: c.DatabaseURL, Login: c.Login} },
		OpenAPI: document,
	}
}

// store is what both kinds of database give.
type store interface {
	user.Store
	idempotency.Store
	Migrate(context.Context, *slog.Logger) error
	Check(context.Context) error
	Stats() database.Stats
	Close() error
}

// kept is what the service keeps, in either.
func kept() transfer.Store {
	return transfer.Store{Tables: []string{"users", "idempotency_keys"}, SQLite: sqlite.Migrations(), Postgres: postgres.Migrations()}
}

func openStore(ctx context.Context, c *configuration) (store, error) {
	kind, err := database.KindOf(c.DatabaseURL)
	if err != nil {
		return nil, err
	}
	if kind == database.Postgres {
		return postgres.Open(ctx, c.DatabaseURL, c.Login)
	}
	return sqlite.Open(ctx, database.SQLitePath(c.DatabaseURL))
}

func migrate(ctx context.Context, c *configuration, log *slog.Logger) error {
	s, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx, log), s.Close())
}

// open builds the service from its pieces.
func open(ctx context.Context, c *configuration, rt service.Runtime) (*service.App, error) {
	s, err := openStore(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.MigrateOnStart {
		err := s.Migrate(ctx, rt.Log)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	c.Config.EmailLimit = c.EmailLimit
	front, err := service.NewFront(&c.Config, rt)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	once := idempotency.NewOnce(s, c.IdempotencyTTL, rt.Metrics)
	monitor := health.NewMonitor(rt.Log, append(front.Dependencies, health.Dependency{Name: "database", Required: true, Check: s.Check})...)
	rt.Metrics.MustRegister(database.NewCollector(s.Stats), monitor)
	a := newAPI(front.API)
	api.Register(a, user.New(s, api.LimitEmails(front.API.Limits.Email)), once)
	httpapi.RegisterHealth(a, rt.Name, rt.Version, monitor, rt.Metrics)
	return &service.App{
		Handler:    a.Handler(),
		Admin:      a.AdminHandler(c.Profiles),
		Monitor:    monitor,
		Background: []func(context.Context) error{func(ctx context.Context) error { return once.PurgeLoop(ctx, rt.Log) }},
		Close: func() error {
			return errors.Join(front.Close(), s.Close())
		},
	}, nil
}

func newAPI(c httpapi.Config) *httpapi.API {
	c.Title = name
	c.Description = "Keeps users."
	c.Version = "1.0.0"
	c.Rules = api.Rules
	return httpapi.New(c)
}

// document describes the operations. Nothing behind them is needed for that.
func document() *huma.OpenAPI {
	metrics := prometheus.NewRegistry()
	a := newAPI(httpapi.Config{Log: slog.New(slog.DiscardHandler), Metrics: metrics, Auth: auth.Open()})
	api.Register(a, nil, nil)
	httpapi.RegisterHealth(a, name, "", nil, metrics)
	return a.OpenAPI()
}
