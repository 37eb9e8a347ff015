package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/catalog"
)

// limit is reached only by failing tests.
const limit = time.Minute

func TestServicesRunUntilTheyAreStopped(t *testing.T) {
	r := started(t, good, good)
	r.await("Ctrl-C stops them")
	for _, service := range []string{userService, orderService} {
		require.NoError(t, ready(t.Context(), "http://"+r.address(service)+"/health/ready"))
		require.Contains(t, r.text(), "http://localhost:"+strconv.Itoa(r.ports[service])+"/docs\n")
	}
	r.cancel()
	require.NoError(t, <-r.result)
	require.Contains(t, r.text(), "user-service  | user-service was told to stop\n")
	require.Less(t, strings.Index(r.text(), "order-service was told"), strings.Index(r.text(), "user-service was told"),
		"a service ends before those that it depends on")
}

func TestServicesGetTheirConfiguration(t *testing.T) {
	r := started(t, good, good)
	r.await("Ctrl-C stops them")
	for _, line := range []string{
		"user-service  | has DATABASE_URL=sqlite://" + filepath.Join(r.dataDir, "user-service.db"),
		"user-service  | has HOST=127.0.0.1",
		"user-service  | has PORT=" + strconv.Itoa(r.ports[userService]),
		"user-service  | has LOG_FORMAT=text",
		"order-service | has DATABASE_URL=sqlite://" + filepath.Join(r.dataDir, "order-service.db"),
		"order-service | has PORT=" + strconv.Itoa(r.ports[orderService]),
		"order-service | has USER_SERVICE_URL=http://127.0.0.1:" + strconv.Itoa(r.ports[userService]),
	} {
		require.Contains(t, r.text(), line+"\n")
	}
	require.NotContains(t, r.text(), "user-service  | has USER_SERVICE_URL")
}

func TestTheEndOfOneServiceStopsTheOther(t *testing.T) {
	for _, service := range []string{userService, orderService} {
		t.Run(service, func(t *testing.T) {
			r := started(t, good, good)
			r.await("Ctrl-C stops them")
			response, err := http.Post("http://"+r.address(service)+"/fail", "", nil)
			if err == nil {
				response.Body.Close()
			}
			require.EqualError(t, <-r.result, service+" ended unexpectedly (exit status 3); its last lines are above")
			for _, service := range []string{userService, orderService} {
				require.Error(t, ready(t.Context(), "http://"+r.address(service)+"/health/ready"))
			}
		})
	}
}

func TestAServiceThatDoesNotStartIsNamed(t *testing.T) {
	r := started(t, good, failing)
	require.EqualError(t, <-r.result, "order-service ended before it was ready (exit status 2); its last lines are above")
	require.Contains(t, r.text(), "order-service | this went wrong\n")
	require.Contains(t, r.text(), "user-service  | user-service was told to stop\n")
	require.NotContains(t, r.text(), "Ctrl-C stops them")
}

func TestAServiceThatIsNeverReadyTimesOut(t *testing.T) {
	r := newRun(t, unready, good)
	r.patience = 0
	r.start()
	require.ErrorContains(t, <-r.result, "user-service was not ready after 0s: ")
}

func TestStoppingBeforeAllAreReadyIsNoError(t *testing.T) {
	r := started(t, good, unready)
	r.await("order-service | has PORT")
	r.cancel()
	require.NoError(t, <-r.result)
	require.NotContains(t, r.text(), "Ctrl-C stops them")
}

func TestAServiceThatDoesNotStopIsKilled(t *testing.T) {
	t.Run("after the grace", func(t *testing.T) {
		r := newRun(t, stubborn, good)
		r.grace = 100 * time.Millisecond
		r.start()
		r.await("Ctrl-C stops them")
		r.cancel()
		require.ErrorContains(t, <-r.result, "user-service did not stop within 100ms and was killed")
		require.Error(t, ready(t.Context(), "http://"+r.address(userService)+"/health/ready"))
	})
	t.Run("at once by a second signal", func(t *testing.T) {
		r := started(t, good, stubborn)
		r.await("Ctrl-C stops them")
		r.cancel()
		r.await("order-service was told to stop")
		close(r.hurried)
		require.ErrorContains(t, <-r.result, "order-service was killed before it had stopped")
		require.Error(t, ready(t.Context(), "http://"+r.address(orderService)+"/health/ready"))
	})
}

// run is one call of runner.run.
type run struct {
	runner
	t       *testing.T
	cancel  context.CancelFunc
	ctx     context.Context
	hurried chan struct{}
	result  chan error

	mu     sync.Mutex
	buffer bytes.Buffer
	wrote  chan struct{} // closed at the next Write
}

// newRun prepares a run of fake services on free ports.
func newRun(t *testing.T, user, order string) *run {
	t.Helper()
	dir := fakes(t, user, order)
	r := &run{t: t, hurried: make(chan struct{}), result: make(chan error, 1), wrote: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(t.Context())
	r.runner = runner{
		settings: settingsOf(t, freePort(t), freePort(t), t.TempDir()),
		build:    func(context.Context, catalog.Service) (string, error) { return dir, nil },
		environ:  []string{"GORACE=atexit_sleep_ms=0"}, // otherwise a fake takes a second to exit
		out:      newOutput(r, false),
		hurry:    r.hurried,
		patience: limit,
		grace:    limit,
	}
	return r
}

// start starts the run, which ends with the test at the latest.
func (r *run) start() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.result <- r.run(r.ctx)
	}()
	r.t.Cleanup(func() {
		r.cancel()
		<-ended
	})
}

func started(t *testing.T, user, order string) *run {
	t.Helper()
	r := newRun(t, user, order)
	r.start()
	return r
}

// Write records what the run prints.
func (r *run) Write(part []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.wrote)
	r.wrote = make(chan struct{})
	return r.buffer.Write(part)
}

func (r *run) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buffer.String()
}

// await waits until the run has printed text.
func (r *run) await(text string) {
	r.t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		r.mu.Lock()
		found, wrote := strings.Contains(r.buffer.String(), text), r.wrote
		r.mu.Unlock()
		if found {
			return
		}
		select {
		case <-wrote:
		case err := <-r.result:
			require.Failf(r.t, "ended early", "before %q was printed: %v\n%s", text, err, r.text())
		case <-timer.C:
			require.Failf(r.t, "nothing", "%q was not printed:\n%s", text, r.text())
		}
	}
}

// freePort returns a port below the ephemeral ranges, which the kernel assigns to nobody
// before its use.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 15000 + rand.IntN(32768-15000)
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			require.NoError(t, listener.Close())
			return port
		}
	}
	require.FailNow(t, "no port is free")
	return 0
}
