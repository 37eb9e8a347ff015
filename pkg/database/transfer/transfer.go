// Package transfer moves a service's data: it backs up a SQLite file while the service
// writes to it, restores a backup, and copies the rows to PostgreSQL.
package transfer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/example/microservices/pkg/database/migration"
)

// Store describes a service's tables in both kinds of database.
type Store struct {
	// Tables are all tables of the service, referenced ones first. Their columns have the
	// same names in both kinds of database.
	Tables []string
	// SQLite and Postgres are the migrations.
	SQLite, Postgres migration.Set
}

// open opens an existing SQLite file, with one connection.
func open(path string, pragmas ...string) (*sql.DB, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	parameters := url.Values{"mode": {"rw"}, "_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: parameters.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// hold opens a SQLite file exclusively, until it is closed. It returns an error if
// another process has it open, whether that writes or not.
func hold(ctx context.Context, path string) (*sql.DB, error) {
	db, err := open(path, "locking_mode(EXCLUSIVE)")
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, "BEGIN EXCLUSIVE; COMMIT") // locking_mode=EXCLUSIVE keeps the lock
	if err == nil {
		return db, nil
	}
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY {
		err = errors.New("another process has it open: stop the service first")
	}
	return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
}

// check returns the number of rows of each table in a SQLite file. It returns an error if
// the file is damaged, has other tables, or has too old a schema.
func (s Store) check(ctx context.Context, db *sql.DB) (map[string]int64, error) {
	var result string
	err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result)
	if err == nil && result != "ok" {
		err = errors.New(result)
	}
	if err != nil {
		return nil, fmt.Errorf("the file is damaged: %w", err)
	}
	there, err := names(ctx, db, inFile, s.SQLite.Table)
	if err != nil {
		return nil, err
	}
	different := fmt.Errorf("it has the tables %s, but this service has the tables %s", strings.Join(there, ", "), strings.Join(s.Tables, ", "))
	if slices.ContainsFunc(there, func(table string) bool { return !slices.Contains(s.Tables, table) }) {
		return nil, different // another service's: the version of its schema says nothing
	}
	_, err = s.SQLite.Check(ctx, db)
	if err != nil {
		return nil, err
	}
	if len(there) < len(s.Tables) {
		return nil, different
	}
	return count(ctx, db, there)
}

// inFile lists the tables of a SQLite file, except the migrations' ($1). inTable lists
// the columns of a table.
const (
	inFile  = `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@' AND name <> $1`
	inTable = `SELECT name FROM pragma_table_info($1)`
)

// names returns the names that a query lists, sorted.
func names(ctx context.Context, db *sql.DB, query string, arg any) ([]string, error) {
	var all string
	err := db.QueryRowContext(ctx, "SELECT coalesce(group_concat(name, char(0)), '') FROM ("+query+")", arg).Scan(&all)
	if err != nil || all == "" {
		return nil, err
	}
	return slices.Sorted(strings.SplitSeq(all, "\x00")), nil
}

func count(ctx context.Context, db *sql.DB, tables []string) (map[string]int64, error) {
	rows := map[string]int64{}
	for _, table := range tables {
		var n int64
		err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+quote(table)).Scan(&n)
		if err != nil {
			return nil, err
		}
		rows[table] = n
	}
	return rows, nil
}

// quote quotes an identifier, for both kinds of database.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
