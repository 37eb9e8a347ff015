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
	// schema is for migrations, whose library wants a pool of database/sql's.
	schema *sql.DB
	// pending is how many migrations there were when a Check could tell.
	pending atomic.Int64
}

// minVersion is the first version of SQLite without a bug that could corrupt a
// WAL database (3.51.3).
const minVersion = 3051003

// busyTimeout is how long another process's lock is waited for.
const busyTimeout = 5 * time.Second

// Open opens the file at path, whose schema is that of the set, and makes it when there is
// none.
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
		write.empty() // of what was erased before a crash, too
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

// openSchema returns a pool of one connection that is opened when it is needed.
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

// Migrate brings the schema up to date, under a lock on a file beside the database.
func (db *DB) Migrate(ctx context.Context, log *slog.Logger) error {
	lock := func(ctx context.Context, _ *sql.DB) (func() error, error) {
		file := flock.New(db.path + ".migrate.lock")
		_, err := file.TryLockContext(ctx, lockRetry)
		return file.Unlock, err
	}
	return Wrap(db.set.Up(ctx, db.schema, lock, log))
}

// Check returns an error unless the database answers and its schema is as new as the set
// requires.
func (db *DB) Check(ctx context.Context) error {
	now, err := os.Stat(db.path)
	if err != nil || !os.SameFile(now, db.file) {
		return fmt.Errorf("the database file %s is not there any more", db.path)
	}
	pending, err := db.set.Check(ctx, db.schema)
	if err == nil || pending > 0 { // what can't be asked for is as it was
		db.pending.Store(int64(pending))
	}
	return Wrap(err)
}

// Write runs do in a transaction of the writer. What do returns is returned; unless that
// is nil, nothing of what it wrote stays. When Write returns nil, it is on the disk. Once
// begun it isn't cut off when ctx is done: others share the transaction.
func (db *DB) Write(ctx context.Context, do func(*Conn) error) error {
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

// code is SQLite's code of an error, of whichever library, or 0.
func code(err error) int {
	var e *modernc.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return int(sqlite.ErrCode(err))
}

// Wrap marks the errors that say that the database can't answer now.
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

// UniqueViolation says that err is a row that breaks a UNIQUE constraint or
// index, or the primary key, on the column, given as table.column.
func UniqueViolation(err error, column string) bool {
	if err == nil || !strings.Contains(err.Error(), column) {
		return false
	}
	c := code(err)
	return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// Raised says that err is what a trigger raised with a text: RAISE(ABORT, text).
func Raised(err error, text string) bool {
	return err != nil && code(err) == sqlite3.SQLITE_CONSTRAINT_TRIGGER && strings.Contains(err.Error(), text)
}
