// Package postgres provides a real PostgreSQL for tests.
//
// Most tests need one line:
//
//	pool, err := pgxpool.New(ctx, postgres.New(t))
//
// [New] creates an empty database on a server shared by all tests of the process. That is
// the server of TEST_POSTGRES_URL, which `make test` sets so that a whole run needs only
// one. Without it, the first call starts a server, so `go test ./some/package` works by
// itself.
//
// A test that breaks its server, with [Server.Kill] or unusual settings, starts its own
// with [Start].
//
// The server's programs are those installed on the machine (see [Find]). Nothing is
// downloaded, running servers aren't touched, and nothing is left behind: each server has
// a temporary folder and a free port of 127.0.0.1, and is stopped and removed even if the
// test process is killed.
package postgres
