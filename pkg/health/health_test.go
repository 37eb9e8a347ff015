package health_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/health"
)

// dependency is a dependency that a test switches on and off.
type dependency struct{ down, hung atomic.Bool }

func (d *dependency) Check(ctx context.Context) error {
	if d.hung.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if d.down.Load() {
		return errors.New("down")
	}
	return nil
}

// TestADependencyThatWasNeverAvailableIsLogged once.
func TestADependencyThatWasNeverAvailableIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // read it only when nothing runs
		var users dependency
		users.down.Store(true)
		m := health.NewMonitor(slog.New(slog.NewTextHandler(&log, nil)), health.Dependency{Name: "user-service", Check: users.Check})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		time.Sleep(time.Minute)
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, 1, strings.Count(log.String(), `msg="dependency is down" dependency=user-service error=down`), log.String())
	})
}

func TestReportFollowsTheDependencies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var database, users dependency
		m := health.NewMonitor(slog.New(slog.DiscardHandler),
			health.Dependency{Name: "database", Required: true, Check: database.Check},
			health.Dependency{Name: "user-service", Check: users.Check},
		)
		require.Equal(t, health.NotReady, m.Report().Status, "before the first check")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, health.Report{Status: health.Ready, Dependencies: map[string]health.Status{"database": "up", "user-service": "up"}}, m.Report())

		// Readiness must change within five seconds.
		turn := func() { time.Sleep(5 * time.Second); synctest.Wait() }
		users.down.Store(true)
		turn()
		require.Equal(t, health.Report{Status: health.Degraded, Dependencies: map[string]health.Status{"database": "up", "user-service": "down"}}, m.Report())
		database.hung.Store(true)
		turn()
		require.Equal(t, health.NotReady, m.Report().Status)
		users.down.Store(false)
		database.hung.Store(false)
		turn()
		require.Equal(t, health.Ready, m.Report().Status)

		m.Drain()
		require.Equal(t, health.NotReady, m.Report().Status)
		cancel()
		require.NoError(t, <-done)
	})
}

// TestADegradedDependencyLeavesTheServiceReady: for example a read-only database.
func TestADegradedDependencyLeavesTheServiceReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // read it only when nothing runs
		check := func(context.Context) error { return fmt.Errorf("it is read-only: %w", health.ErrDegraded) }
		m := health.NewMonitor(slog.New(slog.NewTextHandler(&log, nil)), health.Dependency{Name: "database", Required: true, Check: check})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		require.Equal(t, health.Report{Status: health.Degraded, Dependencies: map[string]health.Status{"database": "degraded"}}, m.Report())
		cancel()
		require.NoError(t, <-done)
		require.Contains(t, log.String(), `msg="dependency is degraded" dependency=database error="it is read-only: degraded"`)
	})
}
