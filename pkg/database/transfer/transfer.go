// Package transfer moves what a service keeps: it backs a SQLite file up while the
// service writes to it, puts a backup in place, and copies the rows to PostgreSQL.
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

// Store is what a service keeps, in either kind of database.
type Store struct {
	// Tables are all of the service's own, those that others refer to first. Their
	// columns have the same names in both kinds of database.
	Tables []string
	// SQLite and Postgres are the migrations.
	SQLite, Postgres migration.Set
}

// open opens a SQLite file that is there, with one connection.
func open(path string, pragmas ...string) (*sql.DB, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", path)
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

// hold opens a SQLite file for this process alone, until it is closed. The error
// says so where another process has it open, whether that writes or not.
func hold(ctx context.Context, path string) (*sql.DB, error) {
	db, err := open(path, "locking_mode(EXCLUSIVE)")
	if err != nil {
		return nil, err
	}
	_, err = db.ExecContext(ctx, "BEGIN EXCLUSIVE; COMMIT") // the mode keeps the lock
	if err == nil {
		return db, nil
	}
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY {
		err = errors.New("another process has it open: stop the service first")
	}
	return nil, errors.Join(fmt.Errorf("%s: %w", path, err), db.Close())
}

// check returns how many rows each table of a SQLite file has. The error is of a
// file that is damaged, or that the service could not serve.
func (s Store) check(ctx context.Context, db *sql.DB) (map[string]int64, error) {
	var result string
	err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&result)
	if err == nil && result != "ok" {
		err = errors.New(result)
	}
	if err != nil {
		return nil, fmt.Errorf("the file is damaged: %w", err)
	}
	_, err = s.SQLite.Check(ctx, db)
	if err != nil {
		return nil, err
	}
	there, err := names(ctx, db, inFile, s.SQLite.Table)
	if err == nil && !slices.Equal(there, slices.Sorted(slices.Values(s.Tables))) {
		err = fmt.Errorf("it has the tables %s, and this service's are %s", strings.Join(there, ", "), strings.Join(s.Tables, ", "))
	}
	if err != nil {
		return nil, err
	}
	return count(ctx, db, there)
}

// inFile lists the tables of a SQLite file, but for that of the migrations, $1, and
// inTable the columns of one of them.
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

// quote quotes an identifier, in both kinds of database.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// syncFolder makes a new name in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Clean(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
