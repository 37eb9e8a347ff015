// Package database has what PostgreSQL and SQLite share: database addresses, logins, pool
// metrics, and the error for an unavailable database.
package database

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnavailable means that the database can't be reached, or can't answer now. The same
// call may succeed later.
var ErrUnavailable = errors.New("the database is unavailable")

// Kind is a kind of database.
type Kind string

// Kinds of database.
const (
	Postgres Kind = "postgres"
	SQLite   Kind = "sqlite"
)

// KindOf returns the kind of database of an address: postgres://… (or
// postgresql://…), or sqlite://path. The error doesn't contain the address, which may
// have a password.
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

// SQLitePath returns the path in sqlite://path. Slashes before an absolute path are one:
// sqlite:////var/lib/shop.db is the usual form elsewhere.
func SQLitePath(address string) string {
	path := strings.TrimPrefix(address, "sqlite://")
	if strings.HasPrefix(path, "//") {
		path = "/" + strings.TrimLeft(path, "/")
	}
	return path
}

// Unavailable wraps err as ErrUnavailable.
func Unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// QueryName returns the name of a query that begins with a line like "-- name: GetUser
// :one", as sqlc writes it, or "query".
func QueryName(sql string) string {
	name, isNamed := strings.CutPrefix(sql, "-- name: ")
	if !isNamed {
		return "query"
	}
	return name[:strings.IndexAny(name+" ", " \n")]
}
