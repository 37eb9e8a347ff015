// Package database holds what PostgreSQL and SQLite have in common here: the
// address that chooses between them, and the one error that is the same.
package database

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnavailable says that the database could not be reached, or could not
// answer now. The same call may succeed later.
var ErrUnavailable = errors.New("the database is unavailable")

// Kind is a kind of database.
type Kind string

// The kinds of database there are.
const (
	Postgres Kind = "postgres"
	SQLite   Kind = "sqlite"
)

// KindOf returns the kind of database that address is of: postgres://… (or
// postgresql://…), or sqlite://path. The error does not repeat the address,
// which may hold a password.
func KindOf(address string) (Kind, error) {
	scheme, rest, found := strings.Cut(address, "://")
	switch {
	case found && (scheme == "postgres" || scheme == "postgresql"):
		return Postgres, nil
	case found && scheme == "sqlite" && rest != "":
		return SQLite, nil
	}
	return "", errors.New("must be postgres://user:password@host/database or sqlite://path/to/file")
}

// SQLitePath returns the path in sqlite://path.
func SQLitePath(address string) string { return strings.TrimPrefix(address, "sqlite://") }

// Unavailable marks err as ErrUnavailable.
func Unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// QueryName returns what a query is called, above which there is "-- name: GetUser", with
// more behind it where sqlc has written it. Another is a "query".
func QueryName(sql string) string {
	name, isNamed := strings.CutPrefix(sql, "-- name: ")
	if !isNamed {
		return "query"
	}
	return name[:strings.IndexAny(name+" ", " \n")]
}
