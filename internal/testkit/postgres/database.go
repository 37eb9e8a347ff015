package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// EnvURL is the variable with the server for [New] to use: the URL of any of its
// databases, for a user who may create databases.
const EnvURL = "TEST_POSTGRES_URL"

// limit limits each step of a test's set-up and clean-up. It is far more than a busy
// machine needs, and only keeps a broken server from blocking the run.
const limit = time.Minute

// shared is the server of this process, started by the first [New] without
// TEST_POSTGRES_URL.
var shared struct {
	mu     sync.Mutex
	server *Server
	err    error
}

// New creates an empty database for t on the server shared by the process's tests, and
// returns its URL. The database is dropped at the end of t, even if connections are still
// open. Without a server t fails with what to do; it is never skipped.
func New(t testing.TB) string {
	t.Helper()
	admin, err := sharedURL()
	if err != nil {
		t.Fatalf("This test needs PostgreSQL: %v", err)
	}
	return create(t, admin)
}

// New is like the function [New], on this server.
func (s *Server) New(t testing.TB) string {
	t.Helper()
	return create(t, s.URL("postgres"))
}

// Main runs m's tests, stops the shared server if [New] started one, and returns
// the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	return stopShared(code)
}

// Exit does what [Main] does after the tests, for use with a leak check:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(postgres.Exit)) }
func Exit(code int) {
	os.Exit(stopShared(code))
}

// stopShared stops the shared server and returns the exit code that follows.
func stopShared(code int) int {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		return code
	}
	err := shared.server.Stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
		return max(code, 1)
	}
	return code
}

// sharedURL returns the URL of a database on the shared server.
func sharedURL() (string, error) {
	if given := os.Getenv(EnvURL); given != "" {
		return given, nil
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil && shared.err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		shared.server, shared.err = Start(ctx, Options{})
	}
	if shared.err != nil {
		return "", shared.err
	}
	return shared.server.URL("postgres"), nil
}

// create creates a new database for t on the server of admin.
func create(t testing.TB, admin string) string {
	t.Helper()
	name := databaseName(t.Name())
	own, err := withDatabase(admin, name)
	if err != nil {
		t.Fatalf("%s: %v", EnvURL, err)
	}
	quoted := pgx.Identifier{name}.Sanitize()
	// template0 allows no connections, which would block the copy.
	err = execute(admin, "CREATE DATABASE "+quoted+" TEMPLATE template0")
	if err != nil {
		t.Fatalf("create a database for this test: %v", err)
	}
	t.Cleanup(func() {
		err := execute(admin, "DROP DATABASE "+quoted+" WITH (FORCE)")
		if err != nil {
			t.Errorf("drop this test's database: %v", err)
		}
	})
	return own
}

// execute runs one statement on a new connection. CREATE and DROP DATABASE allow no
// parameters and no transaction, and an idle connection would count against the server's
// limit in every test binary.
func execute(url, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	if err != nil {
		conn.Close(ctx)
		return err
	}
	return conn.Close(ctx)
}

// databaseName returns a unique name that contains the test's.
func databaseName(test string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(test))
	const room = 63 - 1 - 16 // PostgreSQL truncates names to 63 bytes
	clean = clean[:min(len(clean), room)]
	return clean + "_" + strings.ToLower(rand.Text()[:16])
}

// withDatabase returns the URL of another database on the same server.
func withDatabase(base, name string) (string, error) {
	parsed, err := url.Parse(base)
	if err != nil {
		return "", errors.New("not a URL") // url.Parse's error would contain the password
	}
	if parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return "", fmt.Errorf("not a postgres:// URL, but %q", parsed.Scheme)
	}
	parsed.Path = "/" + name
	return parsed.String(), nil
}
