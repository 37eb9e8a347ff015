package service

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
)

// adminServer serves the admin port: metrics, probes and profiles. It answers from before
// the service opens until after it has closed, whatever the load on the public port.
type adminServer struct {
	server  *Server
	handler atomic.Pointer[http.Handler]
}

// adminConnections limits the connections of the admin port.
const adminConnections = 100

func (c *Config) listenAdmin(ctx context.Context, log *slog.Logger, starting http.Handler) (*adminServer, error) {
	listener, err := listen(ctx, c.adminAddress(), "ADMIN_PORT")
	if err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "serving the admin port", slog.String("address", listener.Addr().String()))
	a := &adminServer{}
	a.set(starting)
	limits := *c
	limits.MaxConnections = adminConnections
	a.server = limits.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*a.handler.Load()).ServeHTTP(w, r) }), log)
	go func() { _ = a.server.Serve(listener) }() // runs until close
	return a, nil
}

func (a *adminServer) set(h http.Handler) { a.handler.Store(&h) }

func (a *adminServer) close() { _ = a.server.Close() }
