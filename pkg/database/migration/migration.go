// Package migration applies schema migrations with goose, and reports whether any are
// pending. Processes that start at the same time apply each migration exactly once.
package migration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"

	"github.com/pressly/goose/v3"
)

// Set is a service's migrations for one kind of database: embedded files named
// 00001_what.sql and so on.
type Set struct {
	// Schema is the PostgreSQL schema of the tables.
	Schema string
	// Required is the version that the program needs. Later migrations prepare a later
	// version of the program.
	Required int64
	// Table is the name of goose's version table.
	Table string

	// own is the first table of a SQLite schema. Every service's version table has the same
	// name there, so own tells whose database a file is.
	own     string
	files   fs.FS
	dialect goose.Dialect
}

const versions = "goose_db_version"

// SQLite returns the migrations in the folder migrations of files. The first one creates a
// table that no other service has, and that is kept.
func SQLite(files fs.FS, required int64) Set {
	s := Set{Required: required, Table: versions, files: folder(files), dialect: goose.DialectSQLite3}
	first, err := fs.Glob(s.files, "00001_*.sql")
	if err != nil || len(first) == 0 {
		return s
	}
	text, err := fs.ReadFile(s.files, first[0])
	if found := createTable.FindSubmatch(text); err == nil && found != nil {
		s.own = string(found[1])
	}
	return s
}

var createTable = regexp.MustCompile(`CREATE TABLE (\w+)`)

// Postgres is SQLite for PostgreSQL. The tables are in the given schema.
func Postgres(schema string, files fs.FS, required int64) Set {
	return Set{Schema: schema, Required: required, Table: schema + "." + versions, files: folder(files), dialect: goose.DialectPostgres}
}

func folder(files fs.FS) fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // can't fail: the path is valid
	}
	return sub
}

// Lock keeps other processes from migrating the same database. It returns a function that
// releases it.
type Lock func(context.Context, *sql.DB) (unlock func() error, err error)

// Up applies the pending migrations, under the lock. A schema that is newer than the set
// is left unchanged: an older binary can serve on it.
//
// The lock isn't goose's own: goose takes that only after it has created its version
// table.
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

// pending returns how many migrations the schema lacks. It changes nothing.
func (s Set) pending(ctx context.Context, db *sql.DB) (int, error) {
	current, err := s.version(ctx, db)
	if err != nil {
		return 0, err
	}
	return s.after(current)
}

// after returns how many migrations are later than a version.
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

// version returns the newest applied version, or 0.
func (s Set) version(ctx context.Context, db *sql.DB) (int64, error) {
	const inFile = `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1`
	exists := inFile
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
	if s.own == "" || v.Int64 == 0 {
		return v.Int64, nil
	}
	err = db.QueryRowContext(ctx, inFile, s.own).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("look for the table %s: %w", s.own, err)
	}
	if n == 0 {
		return 0, fmt.Errorf("DATABASE_URL names another service's database: it has no table %s", s.own)
	}
	return v.Int64, nil
}

// Check returns how many migrations the schema lacks, and an error if its version is
// below Required.
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
