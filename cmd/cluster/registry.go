package main

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// serveRegistry serves a registry for images: to this machine on localhost, to
// the node on this machine's address on their link. Its layers are files; what
// was pushed is known until the cluster goes down.
func serveRegistry(s state, listeners []net.Listener) {
	server := &http.Server{
		Handler:           registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(s.path("registry"))), registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	for _, listener := range listeners {
		go func() { _ = server.Serve(listener) }() // until the process ends
	}
}
