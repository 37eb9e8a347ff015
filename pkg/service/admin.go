package service

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// adminServer serves what is for operators, on a port of its own: it answers
// whatever goes on at the other one, from before the service is opened until after
// it has been closed.
type adminServer struct {
	server  *http.Server
	handler atomic.Pointer[http.Handler]
}

const (
	// adminConnections is how many connections there may be.
	adminConnections = 100
	// profileTime is how long an answer may take: a profile is made for seconds.
	profileTime = 2 * time.Minute
)

func (c *Config) listenAdmin(ctx context.Context, log *slog.Logger, starting http.Handler) (*adminServer, error) {
	listener, err := listen(ctx, c.adminAddress(), "ADMIN_PORT")
	if err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "serving operators", slog.String("address", listener.Addr().String()))
	a := &adminServer{}
	a.set(starting)
	a.server = &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*a.handler.Load()).ServeHTTP(w, r) }),
		ReadHeaderTimeout: c.HeaderTimeout, ReadTimeout: c.HeaderTimeout, WriteTimeout: profileTime, IdleTimeout: c.IdleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ConnState:      newConnections(adminConnections).track,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() { _ = a.server.Serve(steadyListener{listener, c.WriteTimeout}) }() // until close
	return a, nil
}

func (a *adminServer) set(h http.Handler) { a.handler.Store(&h) }

func (a *adminServer) close() { _ = a.server.Close() }
