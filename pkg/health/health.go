// Package health reports whether a service is alive and ready. It checks the dependencies
// in the background, so that a probe never waits for one.
package health

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Status is the state of a service or of a dependency.
type Status string

// Up and Down are states of a dependency, Ready and NotReady of a service, and Degraded
// of both.
const (
	Up       Status = "up"
	Down     Status = "down"
	Ready    Status = "ready"
	Degraded Status = "degraded"
	NotReady Status = "not_ready"
)

const (
	// interval is the time between two checks of a dependency, and timeout limits one
	// check. Together they bound how late a change is noticed.
	interval = 2 * time.Second
	timeout  = time.Second
)

// ErrDegraded is wrapped by the error of a check if the dependency works in part. The
// service stays ready.
var ErrDegraded = errors.New("degraded")

// Dependency is something that a service needs.
type Dependency struct {
	Name string
	// Required: the service is not ready without it. Otherwise it is only degraded.
	Required bool
	// Check returns nil if the dependency is available.
	Check func(context.Context) error
}

// unknown is the state before the first check. It is reported as down.
const unknown Status = ""

// Report is the state of a service and its dependencies.
type Report struct {
	Status       Status            `json:"status" enum:"ready,degraded,not_ready" doc:"ready: all dependencies are up. degraded: the service accepts requests, but a dependency is degraded or an optional one is down. not_ready: send no requests." example:"ready"`
	Dependencies map[string]Status `json:"dependencies" doc:"The state of each dependency: up, degraded or down." example:"{\"database\": \"up\"}"`
}

// Monitor checks the dependencies of a service.
type Monitor struct {
	log      *slog.Logger
	deps     []Dependency
	draining atomic.Bool

	mu    sync.RWMutex
	state map[string]Status
}

// NewMonitor returns a monitor. A dependency is down until Run has checked it.
func NewMonitor(log *slog.Logger, deps ...Dependency) *Monitor {
	m := &Monitor{log: log, deps: deps, state: make(map[string]Status, len(deps))}
	for _, d := range deps {
		m.state[d.Name] = unknown
	}
	return m
}

// Run checks the dependencies, at once and then at each interval, until ctx is done.
func (m *Monitor) Run(ctx context.Context) error {
	var g errgroup.Group
	for _, d := range m.deps {
		g.Go(func() error {
			ticker := time.NewTicker(interval)
			defer ticker.Stop()
			for {
				m.check(ctx, d)
				select {
				case <-ctx.Done():
					return nil
				case <-ticker.C:
				}
			}
		})
	}
	return g.Wait()
}

func (m *Monitor) check(ctx context.Context, d Dependency) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := d.Check(limited)
	if ctx.Err() != nil {
		return
	}
	status := Up
	switch {
	case errors.Is(err, ErrDegraded):
		status = Degraded
	case err != nil:
		status = Down
	}
	m.mu.Lock()
	before := m.state[d.Name]
	m.state[d.Name] = status
	m.mu.Unlock()
	switch {
	case before == status:
	case status == Degraded:
		m.log.WarnContext(ctx, "dependency is degraded", slog.String("dependency", d.Name), slog.Any("error", err))
	case err != nil:
		m.log.WarnContext(ctx, "dependency is down", slog.String("dependency", d.Name), slog.Any("error", err))
	default:
		m.log.InfoContext(ctx, "dependency is up", slog.String("dependency", d.Name))
	}
}

// Drain makes the service not ready for good, because it is about to stop.
func (m *Monitor) Drain() { m.draining.Store(true) }

// Report returns the last known state, without waiting.
func (m *Monitor) Report() Report {
	m.mu.RLock()
	defer m.mu.RUnlock()
	report := Report{Status: Ready, Dependencies: make(map[string]Status, len(m.deps))}
	for _, d := range m.deps {
		status := m.state[d.Name]
		if status == unknown {
			status = Down
		}
		report.Dependencies[d.Name] = status
		switch {
		case status == Up:
		case d.Required && status == Down:
			report.Status = NotReady
		case report.Status == Ready:
			report.Status = Degraded
		}
	}
	if m.draining.Load() {
		report.Status = NotReady
	}
	return report
}
