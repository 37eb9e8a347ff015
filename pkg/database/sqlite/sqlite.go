// Package sqlite opens a SQLite database for a service, with one writer, which commits in
// groups, and a pool of readers.
//
// An acknowledged write is on disk (WAL, synchronous=FULL). The flush is the expensive
// part, so writes that wait at the same time share one.
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
	"time"

	"github.com/gofrs/flock"
	modernc "modernc.org/sqlite" // also registers the driver
	sqlite3 "modernc.org/sqlite/lib"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
)

// DB is an open database.
type DB struct {
	path    string
	file    os.FileInfo
	set     migration.Set
	readers *readers
	writer  *writer
	// schema is for migrations: goose needs a database/sql pool.
	schema *sql.DB
	// gone: at the last Check, the file wasn't in its place.
	gone atomic.Bool
	// pending is the number of pending migrations at the last Check that could read it.
	pending atomic.Int64
}

// minVersion is SQLite 3.51.3, the first version without a bug that could corrupt a WAL
// database.
const minVersion = 3051003

// busyTimeout limits the wait for another process's lock.
const busyTimeout = 5 * time.Second

// Open opens the file at path, or creates it. set has the schema's migrations, which Open
// doesn't apply.
func Open(path string, set migration.Set) (_ *DB, err error) {
	err = checkFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w (DATABASE_URL names the file)", err)
	}
	db := &DB{path: path, set: set}
	opened := false
	defer func() {
		if !opened {
			err = errors.Join(err, db.Close())
		}
	}()
	write, err := connect(path)
	if err != nil {
		return nil, err
	}
	err = checkVersion(write)
	if err == nil {
		write.empty() // also removes what was erased before a crash
		db.readers, err = openReaders(path, max(4, runtime.GOMAXPROCS(0)))
	}
	if err != nil {
		return nil, errors.Join(err, write.conn.Close())
	}
	db.writer = startWriter(write, db.readers)
	db.schema, err = openSchema(path)
	if err != nil {
		return nil, err
	}
	db.file, err = os.Stat(path)
	if err != nil {
		return nil, err
	}
	opened = true
	return db, nil
}

// checkFile returns a clear error where SQLite would say "unable to open database file
// (14)".
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

// connect opens a connection.
func connect(path string) (*Conn, error) {
	opened, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err == nil {
		opened.SetBusyTimeout(busyTimeout)
		for _, pragma := range []string{"journal_mode=WAL", "synchronous=FULL", "foreign_keys=1", "temp_store=MEMORY", "cache_size=-8000", "secure_delete=1"} {
			err = errors.Join(err, sqlitex.ExecuteTransient(opened, "PRAGMA "+pragma, nil))
		}
	}
	if err != nil {
		err = fmt.Errorf("open the database file %s (DATABASE_URL names it): %w", path, Wrap(err))
		if opened != nil {
			err = errors.Join(err, opened.Close())
		}
		return nil, err
	}
	return &Conn{conn: opened}, nil
}

// openSchema returns a pool of one connection, which is opened on demand.
func openSchema(path string) (*sql.DB, error) {
	parameters := url.Values{"_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "synchronous(FULL)", "foreign_keys(1)"}}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: parameters.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open the database file: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func checkVersion(c *Conn) error {
	var version string
	err := c.query("SELECT sqlite_version()", func(r Row) error { version = r.Text(0); return nil }, nil)
	if err != nil {
		return Wrap(err)
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

// Migrate applies the pending migrations, under a lock on a file beside the database.
func (db *DB) Migrate(ctx context.Context, log *slog.Logger) error {
	lock := func(ctx context.Context, _ *sql.DB) (func() error, error) {
		file := flock.New(db.path + ".migrate.lock")
		_, err := file.TryLockContext(ctx, lockRetry)
		return file.Unlock, err
	}
	return Wrap(db.set.Up(ctx, db.schema, lock, log))
}

// Check returns an error unless the database answers, its schema is new enough, and its
// file is still in place.
func (db *DB) Check(ctx context.Context) error {
	now, err := os.Stat(db.path)
	gone := err != nil || !os.SameFile(now, db.file)
	db.gone.Store(gone)
	if gone {
		return fmt.Errorf("the database file %s was removed or replaced", db.path)
	}
	pending, err := db.set.Check(ctx, db.schema)
	if err == nil || pending > 0 { // otherwise unknown, so unchanged
		db.pending.Store(int64(pending))
	}
	return Wrap(err)
}

// Write runs do in a transaction. If do returns an error, its changes are undone and
// Write returns the error. If Write returns nil, they are on disk. ctx doesn't interrupt
// a write that has begun, because others share its transaction. While Check finds another
// file, or none, in the file's place, Write fails: what it wrote would be lost.
func (db *DB) Write(ctx context.Context, do func(*Conn) error) error {
	if db.gone.Load() {
		return database.Unavailable(errors.New("the database file was removed or replaced"))
	}
	return Wrap(db.writer.write(ctx, do))
}

// Close waits for what has begun, and closes the file.
func (db *DB) Close() error {
	var errs []error
	if db.writer != nil {
		errs = append(errs, db.writer.close())
	}
	if db.readers != nil {
		errs = append(errs, db.readers.close())
	}
	if db.schema != nil {
		errs = append(errs, db.schema.Close())
	}
	return errors.Join(errs...)
}

// code returns SQLite's code of an error from either library, or 0.
func code(err error) int {
	var e *modernc.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return int(sqlite.ErrCode(err))
}

// Wrap wraps errors as database.ErrUnavailable if the database can't answer now: it is
// locked, read-only or can't be opened, or the disk is full or broken.
func Wrap(err error) error {
	if err == nil || errors.Is(err, database.ErrUnavailable) {
		return err
	}
	switch code(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return database.Unavailable(err)
	}
	return err
}

// UniqueViolation reports whether err violates a UNIQUE constraint, a unique index or the
// primary key on a column, given as table.column.
func UniqueViolation(err error, column string) bool {
	if err == nil || !strings.Contains(err.Error(), column) {
		return false
	}
	c := code(err)
	return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// Raised reports whether a trigger raised err with the text: RAISE(ABORT, text).
func Raised(err error, text string) bool {
	return err != nil && code(err) == sqlite3.SQLITE_CONSTRAINT_TRIGGER && strings.Contains(err.Error(), text)
}
