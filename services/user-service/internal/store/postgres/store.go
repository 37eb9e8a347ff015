// Package postgres stores users in PostgreSQL.
package postgres

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/events/postgresevents"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/postgreskeys"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/user-service/internal/store/postgres/db"
	"github.com/example/microservices/services/user-service/internal/user"
)

const (
	schema      = "user_service"
	primaryKey  = "users_pkey"
	uniqueEmail = "users_email_key_unique"
	// schemaVersion is the oldest migration with which the queries work. It is not always
	// the newest one (docs/decisions/schema-versions.md).
	schemaVersion = 5
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the migrations of the schema.
var Migrations = migration.Postgres(schema, files, schemaVersion)

// Store stores users, idempotency records, events and consumers.
type Store struct {
	*postgres.DB
	postgreskeys.Keys
	postgresevents.Events
	postgresevents.Consumers
	queries *db.Queries
	get     func(context.Context, uuid.UUID) (db.UserServiceUser, error)
}

// Open connects to the database at address. If joined, concurrent reads of single users
// share a statement, and concurrent writes a transaction.
func Open(ctx context.Context, address string, login database.Login, joined bool) (*Store, error) {
	d, err := postgres.Open(ctx, address, login, Migrations)
	if err != nil {
		return nil, err
	}
	queries := db.New(d)
	if joined {
		queries = db.New(postgres.JoinWrites(d))
	}
	s := &Store{d, postgreskeys.New(d, schema), postgresevents.New(d, schema, true), postgresevents.NewConsumers(d, schema), queries, queries.GetUser}
	if joined {
		s.get = postgres.JoinReads(queries.GetUser, s.getAll)
	}
	return s, nil
}

// Migrate applies pending migrations, and ensures that new events sort after existing ones,
// also after a restore to another server.
func (s *Store) Migrate(ctx context.Context, log *slog.Logger) error {
	err := s.DB.Migrate(ctx, log)
	if err != nil {
		return err
	}
	return s.Rebase(ctx)
}

// Create implements api.Store.
func (s *Store) Create(ctx context.Context, u user.User, record *idempotency.Record) error {
	plain := db.CreateUserParams{
		ID: u.ID, Name: u.Name, Email: u.Email.String(), EmailKey: u.Email.Key(), Age: smallint(u.Age),
		Version: u.Version, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
	if record == nil {
		return wrap(s.queries.CreateUser(ctx, plain))
	}
	n, err := s.queries.CreateUserOnce(ctx, db.CreateUserOnceParams{
		ID: plain.ID, Name: plain.Name, Email: plain.Email, EmailKey: plain.EmailKey, Age: plain.Age,
		Version: plain.Version, CreatedAt: plain.CreatedAt, UpdatedAt: plain.UpdatedAt,
		Caller: record.Key.Caller, Key: record.Key.Value, Fingerprint: record.Fingerprint,
		Status: int32(record.Answer.Status), Location: record.Answer.Location, Etag: record.Answer.ETag, Body: record.Answer.Body, //nolint:gosec // an HTTP status
		RecordedAt: record.CreatedAt, ExpiresAt: record.ExpiresAt,
	})
	if err == nil && n == 0 {
		return idempotency.ErrTaken
	}
	return wrap(err)
}

// Get implements user.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (user.User, error) {
	return found(s.get(ctx, id))
}

// getAll returns the existing rows with these ids.
func (s *Store) getAll(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]db.UserServiceUser, error) {
	rows, err := s.queries.GetUsers(ctx, ids)
	found := make(map[uuid.UUID]db.UserServiceUser, len(rows))
	for _, row := range rows {
		found[row.ID] = row
	}
	return found, err
}

// Existing implements user.Store.
func (s *Store) Existing(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	existing, err := s.queries.ExistingUsers(ctx, ids)
	return existing, wrap(err)
}

// GetByEmail implements user.Store.
func (s *Store) GetByEmail(ctx context.Context, key string) (user.User, error) {
	return found(s.queries.GetUserByEmail(ctx, key))
}

func found(row db.UserServiceUser, err error) (user.User, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return user.User{}, user.ErrNotFound
	}
	return fromRow(row), wrap(err)
}

// List implements user.Store.
func (s *Store) List(ctx context.Context, r page.Request) (page.Page[user.User], error) {
	return page.Rows[user.User]{
		Below: func(r page.Request) ([]user.User, error) {
			return all(s.queries.ListUsers(ctx, db.ListUsersParams{ID: r.Before, Limit: int32(r.Limit)})) //nolint:gosec // at most page.MaxLimit + 1
		},
		ID: func(u user.User) uuid.UUID { return u.ID },
	}.Collect(r)
}

// ListByTime implements user.Store.
func (s *Store) ListByTime(ctx context.Context, after time.Time, r page.Request) (page.Page[user.User], error) {
	return page.Rows[user.User]{
		Below: func(r page.Request) ([]user.User, error) {
			return all(s.queries.ListUsersByTime(ctx, db.ListUsersByTimeParams{At: r.At, Before: r.Before, After: after, RowLimit: int32(r.Limit)})) //nolint:gosec // at most page.MaxLimit + 1
		},
		ID:   func(u user.User) uuid.UUID { return u.ID },
		Time: func(u user.User) time.Time { return u.CreatedAt },
	}.Collect(r)
}

func all(rows []db.UserServiceUser, err error) ([]user.User, error) {
	users := make([]user.User, len(rows))
	for i, row := range rows {
		users[i] = fromRow(row)
	}
	return users, wrap(err)
}

// Update implements user.Store.
func (s *Store) Update(ctx context.Context, u user.User) error {
	return changed(s.queries.UpdateUser(ctx, db.UpdateUserParams{
		ID: u.ID, Name: u.Name, Email: u.Email.String(), EmailKey: u.Email.Key(), Age: smallint(u.Age),
		UpdatedAt: u.UpdatedAt, StoredVersion: u.Version - 1,
	}))
}

// Delete implements user.Store.
func (s *Store) Delete(ctx context.Context, id uuid.UUID, version int64) error {
	return changed(s.queries.DeleteUser(ctx, db.DeleteUserParams{ID: id, StoredVersion: version}))
}

func fromRow(row db.UserServiceUser) user.User {
	u := user.User{
		ID: row.ID, Name: row.Name, Email: user.EmailFromStore(row.Email, row.EmailKey),
		Version: row.Version, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
	if row.Age != nil {
		age := int(*row.Age)
		u.Age = &age
	}
	return u
}

func smallint(n *int) *int16 {
	if n == nil {
		return nil
	}
	small := int16(*n) //nolint:gosec // the domain has checked the range
	return &small
}

func changed(n int64, err error) error {
	if err == nil && n == 0 {
		return user.ErrStale
	}
	return wrap(err)
}

func wrap(err error) error {
	if postgres.UniqueViolation(err, primaryKey) {
		return user.ErrExists
	}
	if postgres.UniqueViolation(err, uniqueEmail) {
		return user.ErrEmailTaken
	}
	return postgres.Wrap(err)
}
