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

// Store is what a service keeps its resources in, as far as every service's is the same.
type Store interface {
	Migrate(context.Context, *slog.Logger) error
	Check(context.Context) error
	Stats() database.Stats
	Close() error
}

// Runtime is what a service is built with, in one try to open it.
type Runtime struct {
	Log *slog.Logger
	// Metrics are those of this try: another begins anew.
	Metrics *prometheus.Registry
	// API takes the operations.
	API *httpapi.API
	// Limits take policies of the service's own.
	Limits *ratelimit.Policies

	config       *Config
	dependencies []health.Dependency
	background   []func(context.Context) error
	closers      []func() error
	runs         *prometheus.CounterVec
}

// Keep takes a store: it is closed at the end, brought up to date unless
// MIGRATE_ON_START says otherwise, watched and measured.
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

// OnClose has something released when the service stops, or can't be opened after all: what
// came last first.
func (rt *Runtime) OnClose(release func() error) { rt.closers = append(rt.closers, release) }

// Need has readiness depend on something.
func (rt *Runtime) Need(d ...health.Dependency) { rt.dependencies = append(rt.dependencies, d...) }

// Run has work done beside the server, until its context is done. An error stops the
// service.
func (rt *Runtime) Run(work func(context.Context) error) { rt.background = append(rt.background, work) }

// Every has a task done now and then, again and again. Failures are logged and counted.
func (rt *Runtime) Every(interval time.Duration, task string, do func(context.Context) error) {
	if rt.runs == nil {
		rt.runs = prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "background_runs_total",
			Help: "Runs of work that no request asks for, by task and result: ok or failed.",
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
				rt.Log.WarnContext(ctx, "background work failed; it is tried again", slog.String("task", task), slog.Any("error", err))
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
	// Admin serves what is for operators, on ADMIN_PORT.
	Admin   http.Handler
	Monitor *health.Monitor
	// Background runs beside the server, until its context is done.
	Background []func(context.Context) error
	// Stop ends what handlers wait for. It is called once.
	Stop func()
	// Close releases what the service holds. It is called once nothing uses
	// the service any more.
	Close func() error
}

// Build builds the service, whose configuration has been read. process are the metrics of
// the process.
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

// newAPI returns the API without its operations.
func (p Program) newAPI(c httpapi.Config) *httpapi.API {
	c.Title, c.Version = p.Name, "1.0.0"
	c.Description = strings.ToUpper(p.Summary[:1]) + p.Summary[1:] + "."
	return httpapi.New(c)
}

// Document describes the operations. Nothing behind them is needed for that.
func (p Program) Document() *huma.OpenAPI {
	metrics := prometheus.NewRegistry()
	a := p.newAPI(httpapi.Config{Log: slog.New(slog.DiscardHandler), Metrics: metrics, Auth: auth.Open()})
	p.Describe(a)
	httpapi.RegisterHealth(a, p.Name, "", nil, metrics)
	return a.OpenAPI()
}
