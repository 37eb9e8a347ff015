package service

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
)

// adminServer serves what is for operators, on a port of its own: it answers
// whatever goes on at the other one, from before the service is opened until after
// it has been closed.
type adminServer struct {
	server  *Server
	handler atomic.Pointer[http.Handler]
}

// adminConnections is how many connections there may be.
const adminConnections = 100

func (c *Config) listenAdmin(ctx context.Context, log *slog.Logger, starting http.Handler) (*adminServer, error) {
	listener, err := listen(ctx, c.adminAddress(), "ADMIN_PORT")
	if err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "serving operators", slog.String("address", listener.Addr().String()))
	a := &adminServer{}
	a.set(starting)
	limits := *c
	limits.MaxConnections = adminConnections
	a.server = limits.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*a.handler.Load()).ServeHTTP(w, r) }), log)
	go func() { _ = a.server.Serve(listener) }() // until close
	return a, nil
}

func (a *adminServer) set(h http.Handler) { a.handler.Store(&h) }

func (a *adminServer) close() { _ = a.server.Close() }
