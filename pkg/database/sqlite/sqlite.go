// Package sqlite opens a SQLite database for a service: one writer, which
// commits in groups, and a pool of readers beside it.
//
// A write that was acknowledged is on the disk (WAL, synchronous=FULL). What
// costs is the flush; writers that wait at the same time share one.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gofrs/flock"
	"modernc.org/sqlite" // also registers the driver
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
)

// DB is an open database.
type DB struct {
	// Read runs queries. They see what was committed before they started.
	Read *sql.DB
	// Writer is where to prepare statements for Write. It has the one
	// connection that writes: use it for nothing else.
	Writer *sql.DB

	path   string
	file   os.FileInfo
	writer *writer
	// pending is how many migrations there were when a Check could tell.
	pending atomic.Int64
}

// minVersion is the first version of SQLite without a bug that could corrupt a
// WAL database (3.51.3).
const minVersion = 3051003

// Open opens the file at path, and makes it when there is none.
func Open(ctx context.Context, path string) (*DB, error) {
	err := checkFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w (DATABASE_URL names the file)", err)
	}
	write, err := connect(path)
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	read, err := connect(path)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)

	err = checkVersion(ctx, write)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the database file %s (DATABASE_URL names it): %w", path, Wrap(err)), read.Close(), write.Close())
	}
	file, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(err, read.Close(), write.Close())
	}
	return &DB{file: file, Read: read, Writer: write, path: path, writer: startWriter(write)}, nil
}

// checkFile says in plain words what SQLite would put as "unable to open
// database file (14)".
func checkFile(path string) error {
	if strings.Contains(path, ":memory:") {
		return errors.New("a database in memory is not supported")
	}
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("can't open the database file %s: %w", path, pathError.Err)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func connect(path string) (*sql.DB, error) {
	parameters := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"temp_store(MEMORY)", "cache_size(-8000)",
	}}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: parameters.Encode()}
	db, err := open(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open the database file: %w", err)
	}
	return db, nil
}

func checkVersion(ctx context.Context, db *sql.DB) error {
	var version string
	err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version)
	if err != nil {
		return err
	}
	number := 0
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return fmt.Errorf("SQLite has the version %q", version)
		}
		number = number*1000 + n
	}
	if number < minVersion {
		return fmt.Errorf("SQLite %s may corrupt a database; 3.51.3 or later is needed", version)
	}
	return nil
}

// Migrate applies the migrations of a set, under a lock on a file beside the
// database.
func (db *DB) Migrate(ctx context.Context, set migration.Set, log *slog.Logger) error {
	lock := func(ctx context.Context, _ *sql.DB) (func() error, error) {
		file := flock.New(db.path + ".migrate.lock")
		_, err := file.TryLockContext(ctx, lockRetry)
		return file.Unlock, err
	}
	return Wrap(set.Up(ctx, db.Writer, lock, log))
}

// Check returns an error unless the database answers and its schema is as new
// as the set requires.
func (db *DB) Check(ctx context.Context, set migration.Set) error {
	now, err := os.Stat(db.path)
	if err != nil || !os.SameFile(now, db.file) {
		return fmt.Errorf("the database file %s is not there any more", db.path)
	}
	pending, err := set.Check(ctx, db.Read)
	if err == nil || pending > 0 { // what can't be asked for is as it was
		db.pending.Store(int64(pending))
	}
	return Wrap(err)
}

// Write runs do in a transaction of the writer. What do returns is returned;
// unless that is nil, nothing of what it wrote stays. When Write returns nil,
// it is on the disk. The context that do gets has ctx's values but is not
// cancelled with it: others share the transaction.
func (db *DB) Write(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	return db.writer.write(ctx, do)
}

// Close waits for the writes that have begun, and closes the file.
func (db *DB) Close() error {
	return errors.Join(db.writer.close(), db.Read.Close())
}

// Wrap marks the errors that say that the database can't answer now.
func Wrap(err error) error {
	var e *sqlite.Error
	if errors.Is(err, database.ErrUnavailable) || !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return database.Unavailable(err)
	}
	return err
}

// UniqueViolation says that err is a row that breaks a UNIQUE constraint or
// index, or the primary key, on the column, given as table.column.
func UniqueViolation(err error, column string) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) || !strings.Contains(e.Error(), column) {
		return false
	}
	return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}
