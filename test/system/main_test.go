// Package system tests the real binaries, as processes, on real databases.
package system

import (
	"path/filepath"
	"testing"

	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

func TestMain(m *testing.M) { postgres.Exit(process.Main(m)) }

// databases are the kinds of database that the tests run on. Each function returns the
// address of a new, empty database.
var databases = map[string]func(testing.TB) string{
	"sqlite":   func(t testing.TB) string { return "sqlite://" + filepath.Join(t.TempDir(), "test.db") },
	"postgres": func(t testing.TB) string { return postgres.New(t) },
}
