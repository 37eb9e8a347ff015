// Package redis runs a real Redis for a test.
package redis

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Server is a Redis that can be killed and restarted.
type Server struct {
	// URL is unix://… or redis://….
	URL string

	t         testing.TB
	arguments []string
	command   *exec.Cmd
}

// Listen starts a server with a password, without persistence, on a free port of an
// address, until the test ends.
func Listen(t testing.TB, host string) *Server {
	t.Helper()
	const password = "secret"
	probe, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(probe.Addr().String())
	require.NoError(t, err)
	require.NoError(t, probe.Close())
	s := &Server{
		URL: "redis://:" + password + "@" + net.JoinHostPort(host, port), t: t,
		arguments: []string{"--port", port, "--bind", host, "--requirepass", password},
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Start starts a server without persistence, on a socket, until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	folder, err := os.MkdirTemp("", "redis-") //nolint:usetesting // a socket's path has 108 characters at most
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	socket := filepath.Join(folder, "s")
	s := &Server{t: t, URL: "unix://" + socket, arguments: []string{"--port", "0", "--unixsocket", socket}}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Start restarts the server after Kill, and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	s.command = exec.Command("redis-server", append([]string{"--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", "/dev/null"}, s.arguments...)...)
	require.NoError(s.t, s.command.Start(), "redis-server must be installed")
	client := s.Client()
	require.Eventually(s.t, func() bool { return client.Ping(context.Background()).Err() == nil }, 30*time.Second, 5*time.Millisecond)
	require.NoError(s.t, client.Close())
}

// Kill kills the server, like a crash.
func (s *Server) Kill() {
	if s.command != nil {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		s.command = nil
	}
}

// Client returns a client of the server. The caller closes it.
func (s *Server) Client() *redis.Client {
	options, err := redis.ParseURL(s.URL)
	require.NoError(s.t, err)
	return redis.NewClient(options)
}
