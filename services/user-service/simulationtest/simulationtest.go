// Package simulationtest builds user-service for test/simulation, which can't import the
// main package or internal ones: like main.go, with SQLite whose statements can be made to
// fail.
package simulationtest

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/pkg/config"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/requestid"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/services/user-service/internal/api"
	"github.com/example/microservices/services/user-service/internal/store/sqlite"
	"github.com/example/microservices/services/user-service/internal/user"
)

// Migrate creates a database file with the current schema.
func Migrate(ctx context.Context, file string) error {
	s, err := sqlite.Open(file)
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx, slog.New(slog.DiscardHandler)), s.Close())
}

// store calls Pause before some operations.
type store struct {
	*sqlite.Store
	pause func(string)
}

// Get implements api.Store.
func (s store) Get(ctx context.Context, id uuid.UUID) (user.User, error) {
	s.pause("get " + requestid.From(ctx))
	return s.Store.Get(ctx, id)
}

// Open builds the service with a file that Migrate created. intercept is set as sqlite.DB's;
// pause is that of order-service's simulationtest.
func Open(ctx context.Context, file string, intercept func(string) error, pause func(of string)) (*service.App, *service.Config, error) {
	c := &struct {
		service.Config
		events.Retention
	}{Config: service.Config{DatabaseURL: "sqlite://" + file}}
	err := config.Load(c)
	if err != nil {
		return nil, nil, err
	}
	apitest.NoLimits(&c.Config)
	c.MigrateOnStart = false
	open := func(ctx context.Context, rt *service.Runtime) error {
		opened, err := sqlite.Open(c.SQLitePath())
		if err != nil {
			return err
		}
		opened.Intercept(intercept)
		s := store{opened, pause}
		err = rt.Keep(ctx, s)
		if err != nil {
			return err
		}
		emails, err := rt.Limits.Add("email", ratelimit.Limit{})
		if err != nil {
			return err
		}
		once := idempotency.NewOnce(s, c.IdempotencyTTL, rt.Metrics)
		rt.Every(idempotency.PurgeInterval, "purge_idempotency_keys", once.Purge)
		rt.Every(events.PurgeInterval, "purge_events", c.Purge(s))
		api.Register(rt.API, user.New(s, api.LimitEmails(emails)), s, once, events.ConsumerList{"order-service": ""})
		return nil
	}
	app, err := service.Program{Name: "user-service", Summary: "stores users", Config: c, Open: open}.Build(ctx, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	return app, &c.Config, err
}
