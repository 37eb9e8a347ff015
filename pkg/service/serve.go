package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/telemetry"
)

const (
	// maxHeaderBytes limits a request header to 16 KiB: net/http adds 4 KiB.
	maxHeaderBytes = 16<<10 - 4<<10
	// stopTimeout limits each step after the drain.
	stopTimeout = 5 * time.Second
	// flushTimeout limits sending the last traces.
	flushTimeout = 3 * time.Second
	// retryInterval is the time between two attempts to open the service.
	retryInterval = 500 * time.Millisecond
)

// serve opens the service and serves it until SIGINT or SIGTERM. Then: not ready →
// drain → stop background work → close.
func (p Program) serve(ctx context.Context, log *slog.Logger, metrics *prometheus.Registry) error {
	ctx, stop := withSignals(ctx, log, p.end)
	defer stop()
	c := p.Config.Common()

	// Listen first, to detect a port in use before the database is touched.
	listener, err := listen(ctx, c.address(), "PORT")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	isOpen := strings.TrimSpace(c.AuthIssuers) == ""
	starting := httpapi.Starting(p.Name, Version(), isOpen, c.CORSOrigins)
	var admin *adminServer
	if c.AdminPort != 0 {
		admin, err = c.listenAdmin(ctx, log, starting)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		defer admin.close() // last, so that the probes are answered until the end
	}
	p.introduce(ctx, log, "starting", slog.String("address", address))
	if isOpen {
		log.WarnContext(ctx, "open: every client has full access; set AUTH_ISSUERS to require tokens")
	}
	var handler atomic.Pointer[http.Handler]
	set := func(h http.Handler) { handler.Store(&h) }
	set(starting)
	server := c.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*handler.Load()).ServeHTTP(w, r)
	}), log)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	var app *App
	stopTracing, err := telemetry.StartTracing(ctx, c.TraceConfig, log, metrics, p.Name, Version())
	if err != nil {
		return errors.Join(err, server.Close())
	}
	defer func() { // after everything is closed
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		stopTracing(limited)
	}()
	err = retryOpen(ctx, c.StartTimeout, log, func() error {
		var err error
		app, err = p.Build(ctx, log, metrics)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			err = nil // stopped before it was open
		}
		return errors.Join(err, server.Close())
	}
	if admin != nil {
		admin.set(app.Admin)
	}
	log.InfoContext(ctx, "serving", slog.String("address", address))
	err = serveApp(ctx, c, log, app, server, served, set)
	return errors.Join(err, bounded("close", app.Close))
}

// listen listens on an address. variable is the setting of its port, for the error.
func listen(ctx context.Context, address, variable string) (net.Listener, error) {
	// No TCP keep-alive: every wait of a connection has its own timeout.
	config := net.ListenConfig{Control: fewUnsent, KeepAlive: -1}
	config.SetMultipathTCP(false) // MPTCP connections don't inherit the listener's options
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: %w (HOST and %s choose another address)", address, cause(err), variable)
	}
	return listener, nil
}

// serveApp serves an open app until it is told to stop, and drains it.
func serveApp(ctx context.Context, c *Config, log *slog.Logger, app *App, server *Server, served <-chan error, set func(http.Handler)) error {
	var draining atomic.Bool
	// Background work runs until the drain is over, so it doesn't end with ctx.
	backgroundCtx, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	background, backgroundCtx := errgroup.WithContext(backgroundCtx)
	background.Go(func() error { return app.Monitor.Run(backgroundCtx) })
	for _, work := range app.Background {
		background.Go(func() error { return work(backgroundCtx) })
	}
	set(closeWhenDraining(app.Handler, &draining))

	var failure error
	select {
	case failure = <-served:
	case <-backgroundCtx.Done():
	case <-ctx.Done():
	}
	app.Monitor.Drain()
	draining.Store(true)
	app.Stop()
	log.InfoContext(ctx, "draining")
	wait(c.ShutdownDelay)
	failure = errors.Join(failure, drain(ctx, server, c.DrainTimeout))

	stopBackground()
	failure = errors.Join(failure, bounded("stop background work", background.Wait))
	log.InfoContext(ctx, "stopped")
	return failure
}

// Server is an http.Server that limits the number of its connections, and each wait of a
// connection.
type Server struct {
	*http.Server
	writeTimeout time.Duration
}

// Serve is http.Server.Serve with stall detection for writes.
func (s *Server) Serve(l net.Listener) error {
	return s.Server.Serve(steadyListener{l, s.writeTimeout})
}

// Server returns a server with the limits of c.
func (c *Config) Server(handler http.Handler, log *slog.Logger) *Server {
	return &Server{writeTimeout: c.WriteTimeout, Server: &http.Server{
		Handler: closeWhenAmbiguous(handler),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		ReadHeaderTimeout: c.HeaderTimeout,
		ReadTimeout:       c.HeaderTimeout + c.BodyTimeout,
		IdleTimeout:       c.IdleTimeout,
		ConnState:         newConnections(c.MaxConnections).track,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

// drain waits for the requests in flight, and cuts them off after timeout.
func drain(ctx context.Context, server *Server, timeout time.Duration) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	err := server.Shutdown(limited)
	if err == nil {
		return nil
	}
	return errors.Join(&exitError{ExitCutOff, fmt.Errorf("requests were cut off after DRAIN_TIMEOUT (%s)", timeout)}, server.Close())
}

// closeWhenDraining sends Connection: close while the service drains, so that no client
// sends a request on a connection that is about to be closed.
func closeWhenDraining(next http.Handler, draining *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// withSignals returns a context that the first SIGINT or SIGTERM cancels. A second one
// ends the process at once.
func withSignals(ctx context.Context, log *slog.Logger, end func(code int)) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case s := <-signals:
				if n > 0 {
					number, _ := s.(syscall.Signal)
					end(ExitSignal + int(number))
				}
				cancel() // before logging, which may block
				log.InfoContext(ctx, "stopping", slog.String("signal", s.String()))
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// retryOpen calls open until it succeeds. It retries for timeout while the error is
// database.ErrUnavailable.
func retryOpen(ctx context.Context, timeout time.Duration, log *slog.Logger, open func() error) error {
	deadline := time.Now().Add(timeout)
	for {
		err := open()
		if err == nil || !errors.Is(err, database.ErrUnavailable) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("DATABASE_URL: %w", err) // err has the address, but not the setting to change
		}
		log.WarnContext(ctx, "waiting for the database", slog.Any("error", err))
		timer := time.NewTimer(retryInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("stopped while waiting for the database: %w", err)
		case <-timer.C:
		}
	}
}

// bounded gives up on a step of the stop after stopTimeout, so that no step blocks the
// exit.
func bounded(step string, do func() error) error {
	if do == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("%s took longer than %s", step, stopTimeout)
	}
}

func wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// cause returns the system's error without the address, which the message already has.
func cause(err error) error {
	var system *os.SyscallError
	if errors.As(err, &system) {
		return system.Err
	}
	return err
}
