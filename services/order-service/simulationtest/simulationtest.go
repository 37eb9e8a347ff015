// Package simulationtest builds order-service for test/simulation, which can't import the
// main package or internal ones: like main.go, with SQLite whose statements can be made to
// fail, and with the simulation's network.
package simulationtest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/pkg/config"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/requestid"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/services/order-service/internal/api"
	"github.com/example/microservices/services/order-service/internal/order"
	"github.com/example/microservices/services/order-service/internal/store/sqlite"
	"github.com/example/microservices/services/order-service/internal/userclient"
)

// World is the simulated environment of the service.
type World struct {
	// File is a database that Migrate created. Intercept is set as sqlite.DB's.
	File      string
	Intercept func(string) error
	// UserService is the URL of user-service. The first transport is for user lookups, the
	// second one for the event feed.
	UserService string
	Dial        func(purpose string) func(ctx context.Context, network, address string) (net.Conn, error)
	Jitter      func(time.Duration) time.Duration
	// Pause is called before operations that could start at the same instant as others, and
	// share their commit by chance: orders that wait for the same lookup, effects of
	// consecutive events, and reads of requests whose writes shared a commit.
	Pause func(of string)
}

// store calls Pause before some operations.
type store struct {
	*sqlite.Store
	pause func(string)
}

// Get implements api.Store.
func (s store) Get(ctx context.Context, id uuid.UUID) (order.Order, error) {
	s.pause("get " + requestid.From(ctx))
	return s.Store.Get(ctx, id)
}

// Create implements api.Store.
func (s store) Create(ctx context.Context, o order.Order, record *idempotency.Record) error {
	s.pause(o.ShippingAddress)
	return s.Store.Create(ctx, o, record)
}

// Follow implements events.Sink.
func (s store) Follow(ctx context.Context, source string, from, to events.Cursor, e *events.Event) error {
	s.pause("follow")
	return s.Store.Follow(ctx, source, from, to, e)
}

// Migrate creates a database file with the current schema.
func Migrate(ctx context.Context, file string) error {
	s, err := sqlite.Open(file)
	if err != nil {
		return err
	}
	return errors.Join(s.Migrate(ctx, slog.New(slog.DiscardHandler)), s.Close())
}

// Open builds the service. followed has its cursor in the feed of users.
func Open(ctx context.Context, w World) (app *service.App, common *service.Config, followed events.Sink, err error) {
	c := &struct {
		service.Config
		events.Retention
	}{Config: service.Config{DatabaseURL: "sqlite://" + w.File}}
	err = config.Load(c)
	if err != nil {
		return nil, nil, nil, err
	}
	apitest.NoLimits(&c.Config)
	c.MigrateOnStart = false
	purposes := []string{"lookups", "feed"} // in the order in which the client creates them
	client := userclient.NewConfig()
	client.URL, client.Jitter = w.UserService, w.Jitter
	client.WrapTransport = func(rt http.RoundTripper) http.RoundTripper {
		transport := rt.(*http.Transport)
		transport.DialContext = w.Dial(purposes[0])
		purposes = purposes[1:]
		return transport
	}
	open := func(ctx context.Context, rt *service.Runtime) error {
		opened, err := sqlite.Open(c.SQLitePath())
		if err != nil {
			return err
		}
		opened.Intercept(w.Intercept)
		s := store{opened, w.Pause}
		followed = s
		err = rt.Keep(ctx, s)
		if err != nil {
			return err
		}
		users, err := userclient.New(client, rt.Log, rt.Metrics)
		if err != nil {
			return err
		}
		rt.OnClose(func() error { users.Close(); return nil })
		kept := api.Charge(s)
		once := idempotency.NewOnce(kept, c.IdempotencyTTL, rt.Metrics)
		rt.Every(idempotency.PurgeInterval, "purge_idempotency_keys", once.Purge)
		rt.Every(events.PurgeInterval, "purge_events", c.Purge(s))
		follower := &events.Follower{
			Source: "user-service", Name: "order-service", Sink: s, Log: rt.Log, Jitter: w.Jitter,
			Concerns: func(e events.Event) bool { return e.Type == events.Deleted },
		}
		follower.URL, follower.Client = users.Feed()
		follower.Register(rt.Metrics)
		rt.Run(follower.Run)
		api.Register(rt.API, order.New(kept, users), kept, once)
		return nil
	}
	app, err = service.Program{Name: "order-service", Summary: "stores orders", Config: c, Open: open}.Build(ctx, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	return app, &c.Config, followed, err
}
