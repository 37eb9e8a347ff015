// Package sqlite keeps users in a SQLite file.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/pressly/goose/v3"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/user-service/internal/store/sqlite/db"
	"github.com/example/microservices/services/user-service/internal/user"
)

const (
	primaryKey      = "users.id"
	uniqueEmail     = "users.email_key"
	migrationsTable = "goose_db_version"
	// schemaVersion is the migration without which the queries fail. It isn't a
	// new one (docs/decisions/schema-versions.md).
	schemaVersion = 1
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations are the schema's.
func Migrations() migration.Set {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // they are part of the binary
	}
	return migration.Set{Files: files, Dialect: goose.DialectSQLite3, Table: migrationsTable, Required: schemaVersion}
}

// Store is a user.Store and an idempotency.Store.
type Store struct {
	db            *sqlite.DB
	reads, writes *sqlite.Statements[*db.Queries]
}

// Open opens the file at path.
func Open(ctx context.Context, path string) (*Store, error) {
	d, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return &Store{db: d, reads: sqlite.NewStatements(d.Read, db.Prepare), writes: sqlite.NewStatements(d.Writer, db.Prepare)}, nil
}

// Migrate brings the schema up to date.
func (s *Store) Migrate(ctx context.Context, log *slog.Logger) error {
	return s.db.Migrate(ctx, Migrations(), log)
}

// Check returns an error unless the database answers and its schema is new
// enough.
func (s *Store) Check(ctx context.Context) error { return s.db.Check(ctx, Migrations()) }

// Stats returns the state of the pool of readers.
func (s *Store) Stats() database.Stats { return s.db.Stats() }

// Close waits for the writes that have begun, and closes the file.
func (s *Store) Close() error { return s.db.Close() }

// write runs do in a transaction.
func (s *Store) write(ctx context.Context, do func(context.Context, *db.Queries) error) error {
	_, q, err := s.writes.Get(ctx)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return do(ctx, q.WithTx(tx)) })
	if sqlite.UniqueViolation(err, primaryKey) {
		return user.ErrExists
	}
	if sqlite.UniqueViolation(err, uniqueEmail) {
		return user.ErrEmailTaken
	}
	return sqlite.Wrap(err)
}

// Create is part of user.Store.
func (s *Store) Create(ctx context.Context, u user.User, record *idempotency.Record) error {
	return s.write(ctx, func(ctx context.Context, q *db.Queries) error {
		if record != nil {
			n, err := q.RecordIdempotencyKey(ctx, db.RecordIdempotencyKeyParams{
				Caller: record.Key.Caller, Key: record.Key.Value, Fingerprint: record.Fingerprint,
				Status: int64(record.Answer.Status), Location: record.Answer.Location, Etag: record.Answer.ETag, Body: record.Answer.Body,
				CreatedAt: record.CreatedAt.UnixMicro(), ExpiresAt: record.ExpiresAt.UnixMicro(),
			})
			if err != nil {
				return err
			}
			if n == 0 {
				return idempotency.ErrTaken
			}
		}
		return q.CreateUser(ctx, db.CreateUserParams{
			ID: u.ID, Name: u.Name, Email: u.Email.String(), EmailKey: u.Email.Key(), Age: integer(u.Age),
			Version: u.Version, CreatedAt: u.CreatedAt.UnixMicro(), UpdatedAt: u.UpdatedAt.UnixMicro(),
		})
	})
}

// Get is part of user.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (user.User, error) {
	ctx, q, err := s.reads.Get(ctx)
	if err != nil {
		return user.User{}, err
	}
	return found(q.GetUser(ctx, id))
}

// GetByEmail is part of user.Store.
func (s *Store) GetByEmail(ctx context.Context, key string) (user.User, error) {
	ctx, q, err := s.reads.Get(ctx)
	if err != nil {
		return user.User{}, err
	}
	return found(q.GetUserByEmail(ctx, key))
}

func found(row db.User, err error) (user.User, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return user.User{}, user.ErrNotFound
	}
	return fromRow(row), sqlite.Wrap(err)
}

// List is part of user.Store.
func (s *Store) List(ctx context.Context, r page.Request) (page.Page[user.User], error) {
	ctx, q, err := s.reads.Get(ctx)
	if err != nil {
		return page.Page[user.User]{}, err
	}
	return page.Rows[db.User, user.User]{
		Below: func(r page.Request) ([]db.User, error) {
			rows, err := q.ListUsers(ctx, db.ListUsersParams{Before: r.Before, RowLimit: int64(r.Limit)})
			return rows, sqlite.Wrap(err)
		},
		ID:      func(row db.User) uuid.UUID { return row.ID },
		Convert: func(row db.User) (user.User, error) { return fromRow(row), nil },
	}.Collect(r)
}

// ListByTime is part of user.Store.
func (s *Store) ListByTime(ctx context.Context, after time.Time, r page.Request) (page.Page[user.User], error) {
	ctx, q, err := s.reads.Get(ctx)
	if err != nil {
		return page.Page[user.User]{}, err
	}
	return page.Rows[db.User, user.User]{
		Below: func(r page.Request) ([]db.User, error) {
			rows, err := q.ListUsersByTime(ctx, db.ListUsersByTimeParams{At: r.At.UnixMicro(), Before: r.Before.String(), After: after.UnixMicro(), RowLimit: int64(r.Limit)})
			return rows, sqlite.Wrap(err)
		},
		ID:      func(row db.User) uuid.UUID { return row.ID },
		Time:    func(row db.User) time.Time { return instant(row.CreatedAt) },
		Convert: func(row db.User) (user.User, error) { return fromRow(row), nil },
	}.Collect(r)
}

// Update is part of user.Store.
func (s *Store) Update(ctx context.Context, u user.User) error {
	return s.write(ctx, func(ctx context.Context, q *db.Queries) error {
		return changed(q.UpdateUser(ctx, db.UpdateUserParams{
			ID: u.ID, Name: u.Name, Email: u.Email.String(), EmailKey: u.Email.Key(), Age: integer(u.Age),
			UpdatedAt: u.UpdatedAt.UnixMicro(), StoredVersion: u.Version - 1,
		}))
	})
}

// Delete is part of user.Store.
func (s *Store) Delete(ctx context.Context, id uuid.UUID, version int64) error {
	return s.write(ctx, func(ctx context.Context, q *db.Queries) error {
		err := changed(q.DeleteUser(ctx, db.DeleteUserParams{ID: id, Version: version}))
		if err != nil {
			return err
		}
		return q.EraseIdempotencyKeys(ctx, id.String())
	})
}

// Recorded is part of idempotency.Store.
func (s *Store) Recorded(ctx context.Context, key idempotency.Key, now time.Time) (idempotency.Record, error) {
	ctx, q, err := s.reads.Get(ctx)
	if err != nil {
		return idempotency.Record{}, err
	}
	row, err := q.GetIdempotencyKey(ctx, db.GetIdempotencyKeyParams{Caller: key.Caller, Key: key.Value, At: now.UnixMicro()})
	if errors.Is(err, sql.ErrNoRows) {
		return idempotency.Record{}, idempotency.ErrNotFound
	}
	if err != nil {
		return idempotency.Record{}, sqlite.Wrap(err)
	}
	return idempotency.Record{
		Key: key, Fingerprint: row.Fingerprint, CreatedAt: instant(row.CreatedAt), ExpiresAt: instant(row.ExpiresAt),
		Answer: idempotency.Answer{Status: int(row.Status), Location: row.Location, ETag: row.Etag, Body: row.Body},
	}, nil
}

// Purge is part of idempotency.Store.
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	var n int64
	err := s.write(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		n, err = q.PurgeIdempotencyKeys(ctx, db.PurgeIdempotencyKeysParams{At: now.UnixMicro(), RowLimit: int64(limit)})
		return err
	})
	return int(n), err
}

func fromRow(row db.User) user.User {
	u := user.User{
		ID: row.ID, Name: row.Name, Email: user.EmailFromStore(row.Email, row.EmailKey),
		Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt),
	}
	if row.Age != nil {
		age := int(*row.Age)
		u.Age = &age
	}
	return u
}

func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

func integer(n *int) *int64 {
	if n == nil {
		return nil
	}
	wide := int64(*n)
	return &wide
}

func changed(n int64, err error) error {
	if err == nil && n == 0 {
		return user.ErrStale
	}
	return err
}
