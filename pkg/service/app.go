package service

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/health"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/overload"
	"github.com/example/microservices/pkg/ratelimit"
)

// Store is the database of a service, as far as all services use it alike.
type Store interface {
	Migrate(context.Context, *slog.Logger) error
	Check(context.Context) error
	Stats() database.Stats
	Close() error
}

// Runtime is what Program.Open builds the service with, in one attempt.
type Runtime struct {
	Log *slog.Logger
	// Metrics is the registry of this attempt; the next one starts empty.
	Metrics *prometheus.Registry
	// API takes the operations.
	API *httpapi.API
	// Limits takes the service's own rate limit policies.
	Limits *ratelimit.Policies

	config       *Config
	dependencies []health.Dependency
	background   []func(context.Context) error
	closers      []func() error
	runs         *prometheus.CounterVec
}

// Keep takes over a store: it closes it at the end, migrates it unless MIGRATE_ON_START
// is false, and adds its readiness check and its metrics.
func (rt *Runtime) Keep(ctx context.Context, s Store) error {
	rt.OnClose(s.Close)
	if rt.config.MigrateOnStart {
		err := s.Migrate(ctx, rt.Log)
		if err != nil {
			return err
		}
	}
	rt.Need(health.Dependency{Name: "database", Required: true, Check: s.Check})
	rt.Metrics.MustRegister(database.NewCollector(s.Stats))
	return nil
}

// OnClose registers a function that runs when the service stops, or when opening it
// fails. The last one registered runs first.
func (rt *Runtime) OnClose(release func() error) { rt.closers = append(rt.closers, release) }

// Need adds dependencies to the readiness check.
func (rt *Runtime) Need(d ...health.Dependency) { rt.dependencies = append(rt.dependencies, d...) }

// Run runs work in the background until its context is done. An error stops the service.
func (rt *Runtime) Run(work func(context.Context) error) { rt.background = append(rt.background, work) }

// Every runs a task in the background, at once and then at each interval. Failures are
// logged and counted, and don't stop the service.
func (rt *Runtime) Every(interval time.Duration, task string, do func(context.Context) error) {
	if rt.runs == nil {
		rt.runs = prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "background_runs_total",
			Help: "Runs of background tasks, by task and result: ok or failed.",
		}, []string{"task", "result"})
		rt.Metrics.MustRegister(rt.runs)
	}
	ok, failed := rt.runs.WithLabelValues(task, "ok"), rt.runs.WithLabelValues(task, "failed")
	rt.Run(func(ctx context.Context) error {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			err := do(ctx)
			switch {
			case err == nil:
				ok.Inc()
			case ctx.Err() == nil:
				failed.Inc()
				rt.Log.WarnContext(ctx, "background task failed; it will be retried", slog.String("task", task), slog.Any("error", err))
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	})
}

func (rt *Runtime) close() error {
	var errs []error
	for _, release := range slices.Backward(rt.closers) {
		errs = append(errs, release())
	}
	return errors.Join(errs...)
}

// App is a service that has been built.
type App struct {
	Handler http.Handler
	// Admin is the handler of ADMIN_PORT.
	Admin   http.Handler
	Monitor *health.Monitor
	// Background is run until its context is done.
	Background []func(context.Context) error
	// Stop ends the waits of handlers. Call it once.
	Stop func()
	// Close releases the resources of the service. Call it when nothing uses the service
	// any more.
	Close func() error
}

// Build builds the service from its loaded configuration. process has the metrics of the
// process.
func (p Program) Build(ctx context.Context, log *slog.Logger, process prometheus.Gatherer) (app *App, err error) {
	c := p.Config.Common()
	rt := &Runtime{Log: log, Metrics: prometheus.NewRegistry(), config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, rt.close())
		}
	}()
	verifier, err := auth.New(c.IssuerConfig, log, rt.Metrics)
	if err != nil {
		return nil, err
	}
	rt.OnClose(func() error { verifier.Close(); return nil })
	rt.Limits, err = ratelimit.NewPolicies(c.PolicyConfig, p.Name, log, rt.Metrics)
	if err != nil {
		return nil, err
	}
	rt.OnClose(rt.Limits.Close)
	rt.Need(append(verifier.Dependencies(), rt.Limits.Dependencies()...)...)
	rt.API = p.newAPI(httpapi.Config{
		BodyTimeout: c.BodyTimeout, RequestTimeout: c.RequestTimeout, Log: log, Metrics: rt.Metrics,
		Auth: verifier, Limits: rt.Limits, Client: c.ClientConfig, Admin: c.AdminPort != 0,
		Overload: overload.New(c.ConcurrencyLimit, rt.Metrics), Memory: overload.NewMemory(c.MemoryConfig, rt.Metrics),
	})
	err = p.Open(ctx, rt)
	if err != nil {
		return nil, err
	}
	monitor := health.NewMonitor(log, rt.dependencies...)
	rt.Metrics.MustRegister(monitor)
	httpapi.RegisterHealth(rt.API, p.Name, Version(), monitor, prometheus.Gatherers{process, rt.Metrics})
	return &App{
		Handler: rt.API.Handler(), Admin: rt.API.AdminHandler(c.Profiles),
		Monitor: monitor, Background: rt.background, Stop: rt.API.Stop, Close: rt.close,
	}, nil
}

// newAPI returns an API without operations.
func (p Program) newAPI(c httpapi.Config) *httpapi.API {
	c.Title, c.Version = p.Name, "1.0.0"
	c.Description = strings.ToUpper(p.Summary[:1]) + p.Summary[1:] + "."
	return httpapi.New(c)
}

// Document returns the OpenAPI document. It needs no database and no configuration.
func (p Program) Document() *huma.OpenAPI {
	metrics := prometheus.NewRegistry()
	a := p.newAPI(httpapi.Config{Log: slog.New(slog.DiscardHandler), Metrics: metrics, Auth: auth.Open()})
	p.Describe(a)
	httpapi.RegisterHealth(a, p.Name, "", nil, metrics)
	return a.OpenAPI()
}
