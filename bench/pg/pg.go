// Package pg has the PostgreSQL that is measured, and the place of its
// programs.
package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/internal/testkit/postgres"
)

// Need makes sure that PostgreSQL is on this machine, and installs it where
// make test would. root is the module's folder.
func Need(ctx context.Context, root string) error {
	_, err := postgres.Find(ctx)
	if err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, ".ci", "dependencies"), "postgresql")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// Program returns the path of one of PostgreSQL's programs.
func Program(ctx context.Context, name string) (string, error) {
	found, err := postgres.Find(ctx)
	return filepath.Join(found.Bin, name), err
}

// Server is a PostgreSQL with its default settings: a commit waits for the
// disk.
type Server struct {
	server    *postgres.Server
	databases int
}

// Start starts one. The caller must call Stop.
func Start(ctx context.Context) (*Server, error) {
	s, err := postgres.Start(ctx, postgres.Options{})
	return &Server{server: s}, err
}

// NewDatabase makes an empty database, and returns its URL.
func (s *Server) NewDatabase(ctx context.Context) (string, error) {
	s.databases++
	name := fmt.Sprintf("bench_%d", s.databases)
	conn, err := pgx.Connect(ctx, s.server.URL("postgres"))
	if err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name)
	return s.server.URL(name), errors.Join(err, conn.Close(ctx))
}

// Stop stops the server and removes it.
func (s *Server) Stop() error { return s.server.Stop() }
