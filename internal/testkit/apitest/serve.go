package apitest

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/service"
)

// Serve serves an app on a free port of 127.0.0.1, with the limits of c, and returns host
// and port. At the end of the test it stops the server and closes the app.
func Serve(t testing.TB, c *service.Config, app *service.App) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := c.Server(app.Handler, slog.New(slog.DiscardHandler))
	background, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	for _, work := range append(app.Background, app.Monitor.Run) {
		running.Go(func() { _ = work(background) })
	}
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		stop()
		running.Wait()
		require.NoError(t, app.Close())
	})
	return listener.Addr().String()
}

// Race calls do n times concurrently, and counts the results.
func Race(n int, do func(int) int) map[int]int {
	results := make([]int, n)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			results[i] = do(i)
		})
	}
	close(begin)
	wg.Wait()
	counts := map[int]int{}
	for _, r := range results {
		counts[r]++
	}
	return counts
}

// Eventually waits, for up to a minute, for something in the background.
func Eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	require.Eventually(t, happened, time.Minute, 5*time.Millisecond, what)
}
