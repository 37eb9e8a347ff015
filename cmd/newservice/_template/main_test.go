package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/config"
	"github.com/example/microservices/pkg/service"
	"github.com/example/microservices/pkg/telemetry"
)

var described *apitest.Document

// name is the audience of tokens for the service.
const name = "widget-service"

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	described, err = apitest.NewDocument(program(newConfiguration()).Document())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	postgres.Exit(apitest.Main(m, described))
}

// databases are the kinds of database for every test of the API. Each function returns the
// address of a new, empty one.
var databases = map[string]func(testing.TB) string{
	"sqlite":   func(t testing.TB) string { return "sqlite://" + filepath.Join(t.TempDir(), "widgets.db") },
	"postgres": func(t testing.TB) string { return postgres.New(t) },
}

// server is a widget-service in the test's process.
type server struct {
	*apitest.Client
	// Address is the host and port of its listener.
	Address string
	config  *configuration
	app     *service.App
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

// start starts the service with a database, as the program does. The functions in
// change adjust its configuration.
func start(t testing.TB, address string, change ...func(*configuration)) *server {
	t.Helper()
	c := newConfiguration()
	require.NoError(t, config.Load(c))
	c.DatabaseURL = address
	apitest.NoLimits(&c.Config)
	for _, f := range change {
		f(c)
	}
	app, err := program(c).Build(t.Context(), slog.New(slog.DiscardHandler), telemetry.NewRegistry(name, "test"))
	require.NoError(t, err)
	address = apitest.Serve(t, &c.Config, app)
	return &server{Client: apitest.NewClient(t, described, "http://"+address), Address: address, config: c, app: app}
}

func TestNothingIsLeftRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, address := range databases {
		t.Run("", func(t *testing.T) {
			s := start(t, address(t))
			s.Do(http.MethodPost, widgets, newWidget()).Want(http.StatusCreated)
		})
	}
}
