package main

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// serveRegistry serves an image registry: to this machine on localhost, and to the node on
// the veth pair. Layers are files, manifests are in memory until the cluster stops.
func serveRegistry(s state, listeners []net.Listener) {
	server := &http.Server{
		Handler:           registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(s.path("registry"))), registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	for _, listener := range listeners {
		go func() { _ = server.Serve(listener) }() // until the process ends
	}
}
