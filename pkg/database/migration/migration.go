// Package migration brings a database's schema up to date, with goose, and
// tells whether it is. However many processes try at the same time, each
// migration is applied exactly once.
package migration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
)

// Set is the migrations of a service for one kind of database: files named
// 00001_what.sql and so on, which are part of the binary.
type Set struct {
	// Schema is PostgreSQL's schema of the tables.
	Schema string
	// Required is the version without which the program can't serve. Migrations
	// after it prepare a later version of the program.
	Required int64
	// Table keeps the versions that were applied.
	Table string

	files   fs.FS
	dialect goose.Dialect
}

const versions = "goose_db_version"

// SQLite returns the migrations in the folder migrations of files.
func SQLite(files fs.FS, required int64) Set {
	return Set{Required: required, Table: versions, files: folder(files), dialect: goose.DialectSQLite3}
}

// Postgres is SQLite for PostgreSQL, whose tables are in a schema of the service's own.
func Postgres(schema string, files fs.FS, required int64) Set {
	return Set{Schema: schema, Required: required, Table: schema + "." + versions, files: folder(files), dialect: goose.DialectPostgres}
}

func folder(files fs.FS) fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // it is a valid path
	}
	return sub
}

// Lock keeps other processes from migrating the same database. It returns what
// releases it.
type Lock func(context.Context, *sql.DB) (unlock func() error, err error)

// Up applies, under the lock, what has not been applied yet. A schema that is
// newer than the set is left alone: an older binary serves on it.
//
// The lock is not goose's own, which goose takes only after it has made its
// table of versions.
func (s Set) Up(ctx context.Context, db *sql.DB, lock Lock, log *slog.Logger) (err error) {
	pending, err := s.pending(ctx, db)
	if err != nil || pending == 0 {
		return err
	}
	unlock, err := lock(ctx, db)
	if err != nil {
		return fmt.Errorf("lock the migrations: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	provider, err := goose.NewProvider(s.dialect, db, s.files, goose.WithTableName(s.Table), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		log.InfoContext(ctx, "migrated the schema", slog.Int64("version", r.Source.Version), slog.Int64("duration_us", r.Duration.Microseconds()))
	}
	if err != nil {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	return nil
}

// pending returns how many of the set's versions the schema lacks: 0 when it
// is up to date or newer. It changes nothing.
func (s Set) pending(ctx context.Context, db *sql.DB) (int, error) {
	current, err := s.version(ctx, db)
	if err != nil {
		return 0, err
	}
	return s.after(current)
}

// after returns how many of the set's versions come after one.
func (s Set) after(current int64) (int, error) {
	entries, err := fs.ReadDir(s.files, ".")
	if err != nil {
		return 0, fmt.Errorf("read the migrations: %w", err)
	}
	n := 0
	for _, e := range entries {
		v, err := goose.NumericComponent(e.Name())
		if err != nil {
			return 0, fmt.Errorf("read the migrations: %w", err)
		}
		if v > current {
			n++
		}
	}
	return n, nil
}

// version returns the newest version that was applied, or 0.
func (s Set) version(ctx context.Context, db *sql.DB) (int64, error) {
	exists := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1`
	if s.dialect == goose.DialectPostgres {
		exists = `SELECT count(to_regclass($1))`
	}
	var n int
	err := db.QueryRowContext(ctx, exists, s.Table).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("look for the schema's version: %w", err)
	}
	if n == 0 {
		return 0, nil
	}
	var v sql.NullInt64
	err = db.QueryRowContext(ctx, `SELECT max(version_id) FROM `+s.Table).Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return v.Int64, nil
}

// Check returns an error while the schema is older than the program requires, and
// how many of the set's versions it lacks, required or not.
func (s Set) Check(ctx context.Context, db *sql.DB) (pending int, err error) {
	current, err := s.version(ctx, db)
	if err != nil {
		return 0, err
	}
	pending, err = s.after(current)
	if err == nil && current < s.Required {
		err = fmt.Errorf("the schema is of version %d, and %d is required; run the migrate subcommand", current, s.Required)
	}
	return pending, err
}
