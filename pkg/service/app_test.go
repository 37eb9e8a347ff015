package service

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/config"
	"github.com/example/microservices/pkg/database"
)

var quiet = slog.New(slog.DiscardHandler)

// opened returns a program with the function as its Open.
func opened(t *testing.T, open func(context.Context, *Runtime) error) Program {
	t.Helper()
	c := &Config{DatabaseURL: "sqlite://unused.db"}
	require.NoError(t, config.Load(c))
	return Program{Name: "test", Summary: "tests", Config: c, Open: open}
}

// store is a Store that records its calls.
type store struct {
	did     *[]string
	migrate error
}

func (s store) Migrate(context.Context, *slog.Logger) error {
	*s.did = append(*s.did, "migrate")
	return s.migrate
}

func (s store) Check(context.Context) error { return nil }
func (s store) Stats() database.Stats       { return database.Stats{Max: 7} }
func (s store) Close() error                { *s.did = append(*s.did, "close the store"); return nil }

func TestResourcesAreClosedInReverseOrder(t *testing.T) {
	var did []string
	failure := errors.New("on purpose")
	for _, fails := range []error{nil, failure} {
		did = nil
		app, err := opened(t, func(ctx context.Context, rt *Runtime) error {
			err := rt.Keep(ctx, store{did: &did})
			require.NoError(t, err)
			rt.OnClose(func() error { did = append(did, "close the client"); return nil })
			return fails
		}).Build(t.Context(), quiet, prometheus.NewRegistry())
		require.ErrorIs(t, err, fails)
		if fails == nil {
			require.Equal(t, []string{"migrate"}, did)
			require.NoError(t, app.Close())
		}
		require.Equal(t, []string{"migrate", "close the client", "close the store"}, did, "closed in reverse order if opening fails later")
	}
}

func TestAStoreThatCantBeMigratedIsClosed(t *testing.T) {
	var did []string
	failure := errors.New("on purpose")
	_, err := opened(t, func(ctx context.Context, rt *Runtime) error { return rt.Keep(ctx, store{&did, failure}) }).
		Build(t.Context(), quiet, prometheus.NewRegistry())
	require.ErrorIs(t, err, failure)
	require.Equal(t, []string{"migrate", "close the store"}, did)
}

// TestEachAttemptToOpenStartsClean: metrics registered by a failed attempt don't collide with
// the next one.
func TestEachAttemptToOpenStartsClean(t *testing.T) {
	tries := 0
	p := opened(t, func(ctx context.Context, rt *Runtime) error {
		tries++
		err := rt.Keep(ctx, store{did: new([]string)})
		require.NoError(t, err)
		if tries < 3 {
			return database.Unavailable(errors.New("not yet"))
		}
		return nil
	})
	process := prometheus.NewRegistry()
	process.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "of_the_process"}))
	var app *App
	require.NoError(t, retryOpen(t.Context(), time.Minute, quiet, func() (err error) {
		app, err = p.Build(t.Context(), quiet, process)
		return err
	}))
	t.Cleanup(func() { require.NoError(t, app.Close()) })
	require.Equal(t, 3, tries)
	answer := httptest.NewRecorder()
	app.Handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Contains(t, answer.Body.String(), "db_pool_connections_max 7")
	require.Contains(t, answer.Body.String(), "of_the_process 0")
}

func TestOpeningIsRetriedForAWhile(t *testing.T) {
	unavailable := database.Unavailable(errors.New("away"))
	for name, row := range map[string]struct {
		fails func(n int) error
		tries int
		says  string
		took  time.Duration
	}{
		"available after some tries":                               {func(n int) error { return map[bool]error{true: unavailable}[n < 4] }, 4, "", 3 * retryInterval},
		"never available":                                          {func(int) error { return unavailable }, 22, "DATABASE_URL", 21 * retryInterval},
		"an error that retries can't fix":                          {func(int) error { return errors.New("wrong password") }, 1, "wrong password", 0},
		"an error that retries can't fix, after one that they can": {func(n int) error { return []error{nil, unavailable, errors.New("wrong")}[n] }, 2, "wrong", retryInterval},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, tries := time.Now(), 0
				err := retryOpen(t.Context(), 10*time.Second, quiet, func() error { tries++; return row.fails(tries) })
				if row.says == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, row.says)
				}
				require.Equal(t, row.tries, tries)
				require.Equal(t, row.took, time.Since(began))
			})
		})
	}
}

func TestAStopDoesNotWaitForTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/4, stop)
		began := time.Now()
		err := retryOpen(ctx, time.Hour, quiet, func() error { return database.Unavailable(errors.New("away")) })
		require.ErrorContains(t, err, "stopped while waiting")
		require.Equal(t, time.Second/4, time.Since(began))
	})
}

func TestEachStepOfTheStopHasATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		began := time.Now()
		err := bounded("close", func() error { <-open; return nil })
		require.EqualError(t, err, "close took longer than 5s")
		require.Equal(t, stopTimeout, time.Since(began))
		close(open)
		require.NoError(t, bounded("close", func() error { return nil }))
	})
}
