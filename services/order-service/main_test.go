package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
	"github.com/example/microservices/pkg/config"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/pkg/telemetry"
)

var described *apitest.Document

// name is the audience of tokens for the service.
const name = "order-service"

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	described, err = apitest.NewDocument(program(newConfiguration()).Document())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := apitest.Main(m, described)
	stopUserService()
	postgres.Exit(code)
}

// databases are the kinds of database for every test of the API. Each function returns the
// address of a new, empty one.
var databases = map[string]func(testing.TB) string{
	"sqlite":   func(t testing.TB) string { return "sqlite://" + filepath.Join(t.TempDir(), "orders.db") },
	"postgres": func(t testing.TB) string { return postgres.New(t) },
}

// userService is the real user-service that the tests share: its binary, with its own
// database.
var userService = sync.OnceValues(func() (*process.Process, error) {
	dir, err := os.MkdirTemp("", "user-service")
	if err != nil {
		return nil, err
	}
	binary, err := process.BuildBinary("user-service")
	if err != nil {
		return nil, err
	}
	p, err := process.Run(binary, "DATABASE_URL=sqlite://"+filepath.Join(dir, "users.db"))
	if err != nil {
		return nil, err
	}
	userServiceDir = dir
	return p, p.WaitReady()
})

var userServiceDir string

func stopUserService() {
	if userServiceDir == "" {
		return
	}
	p, err := userService()
	if err == nil {
		p.Kill()
	}
	for _, err := range []error{os.RemoveAll(userServiceDir), process.Clean()} {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// server is an order-service in the test's process.
type server struct {
	*apitest.Client
	// Address is the host and port of its listener.
	Address string
	config  *configuration
	app     *service.App
	// user is an existing user.
	user string
}

// each runs a test with each kind of database.
func each(t *testing.T, test func(*testing.T, *server)) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, address(t)))
		})
	}
}

// start starts the service with a database, as the program does. change functions adjust
// its configuration.
func start(t testing.TB, address string, change ...func(*configuration)) *server {
	t.Helper()
	users, err := userService()
	require.NoError(t, err)
	c := newConfiguration()
	require.NoError(t, config.Load(c))
	c.DatabaseURL = address
	apitest.NoLimits(&c.Config)
	c.UserClient.URL = users.URL
	for _, f := range change {
		f(c)
	}
	app, err := program(c).Build(t.Context(), slog.New(slog.DiscardHandler), telemetry.NewRegistry(name, "test"))
	require.NoError(t, err)
	address = apitest.Serve(t, &c.Config, app)
	return &server{
		Client: apitest.NewClient(t, described, "http://"+address), Address: address, config: c, app: app,
		user: process.CreateUser(t, users),
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	_, err := userService()
	require.NoError(t, err)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, address := range databases {
		t.Run("", func(t *testing.T) {
			s := start(t, address(t))
			s.Do(http.MethodPost, orders, s.order()).Want(http.StatusCreated)
		})
	}
}
