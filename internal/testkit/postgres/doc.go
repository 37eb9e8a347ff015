// Package postgres gives tests a real PostgreSQL.
//
// Most tests need one line:
//
//	pool, err := pgxpool.New(ctx, postgres.New(t))
//
// [New] creates an empty database on a server that all tests of the process
// share. That server is the one TEST_POSTGRES_URL names, which `make test` sets
// so that a whole run needs only one; without it the first call starts a server
// of its own, so `go test ./some/package` works by itself too.
//
// A test that breaks its server, by [Server.Kill] or by odd settings, starts one
// for itself with [Start].
//
// The server's programs come from the machine (see [Find]). Nothing is
// downloaded, nothing that runs already is touched, and nothing is left behind:
// each server lives in a temporary folder, listens on a free port of 127.0.0.1,
// and is stopped and removed even when the test process is killed.
package postgres
