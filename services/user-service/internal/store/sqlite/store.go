// Package sqlite stores users in a SQLite file.
package sqlite

import (
	"context"
	"embed"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/events/sqliteevents"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/sqlitekeys"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/user-service/internal/user"
)

const (
	primaryKey  = "users.id"
	uniqueEmail = "users.email_key"
	// wasDeleted is the error that the trigger raises for the id of a deleted user.
	wasDeleted = "users_deleted"
	// schemaVersion is the oldest migration with which the queries work. It is not always
	// the newest one (docs/decisions/schema-versions.md).
	schemaVersion = 4
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the migrations of the schema.
var Migrations = migration.SQLite(files, schemaVersion)

// Store stores users, idempotency records, events and consumers.
type Store struct {
	*sqlite.DB
	sqlitekeys.Keys
	sqliteevents.Events
	sqliteevents.Consumers
}

// Open opens the file at path.
func Open(path string) (*Store, error) {
	db, err := sqlite.Open(path, Migrations)
	if err != nil {
		return nil, err
	}
	return &Store{db, sqlitekeys.Keys{DB: db}, sqliteevents.New(db, true), sqliteevents.NewConsumers(db)}, nil
}

const (
	selectUser = "SELECT id, name, email, email_key, age, version, created_at, updated_at FROM users "

	getUser         = "-- name: GetUser\n" + selectUser + "WHERE id = ?"
	getUserID       = "-- name: GetUserID\nSELECT id FROM users WHERE id = ?"
	getUserByEmail  = "-- name: GetUserByEmail\n" + selectUser + "WHERE email_key = ?"
	listUsers       = "-- name: ListUsers\n" + selectUser + "WHERE id < ? ORDER BY id DESC LIMIT ?+0"
	listUsersByTime = "-- name: ListUsersByTime\n" + selectUser + "WHERE (created_at, id) < (?, ?) AND created_at > ? ORDER BY created_at DESC, id DESC LIMIT ?+0"
	createUser      = "-- name: CreateUser\nINSERT INTO users (id, name, email, email_key, age, version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
	updateUser      = "-- name: UpdateUser\nUPDATE users SET name = ?, email = ?, email_key = ?, age = ?, version = ?, updated_at = ? WHERE id = ? AND version = ?"
	deleteUser      = "-- name: DeleteUser\nDELETE FROM users WHERE id = ? AND version = ?"
)

func scan(r sqlite.Row) (u user.User, err error) {
	u = user.User{
		Name: r.Text(1), Email: user.EmailFromStore(r.Text(2), r.Text(3)), Age: r.NullInt(4),
		Version: r.Int(5), CreatedAt: r.Time(6), UpdatedAt: r.Time(7),
	}
	u.ID, err = r.UUID(0)
	return u, err
}

// Create implements api.Store.
func (s *Store) Create(ctx context.Context, u user.User, record *idempotency.Record) error {
	return s.write(ctx, func(c *sqlite.Conn) error {
		err := sqlitekeys.Add(ctx, c, record)
		if err != nil {
			return err
		}
		_, err = c.Exec(ctx, createUser, u.ID, u.Name, u.Email.String(), u.Email.Key(), u.Age, u.Version, u.CreatedAt, u.UpdatedAt)
		return err
	})
}

// Get implements user.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (user.User, error) {
	return found(sqlite.One(ctx, s.DB, scan, getUser, id))
}

// Existing implements user.Store.
func (s *Store) Existing(ctx context.Context, ids []uuid.UUID) (existing []uuid.UUID, err error) {
	err = s.Read(ctx, func(c *sqlite.Conn) error {
		for _, id := range ids {
			err := c.Query(ctx, getUserID, func(sqlite.Row) error {
				existing = append(existing, id)
				return nil
			}, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return existing, err
}

// GetByEmail implements user.Store.
func (s *Store) GetByEmail(ctx context.Context, key string) (user.User, error) {
	return found(sqlite.One(ctx, s.DB, scan, getUserByEmail, key))
}

// List implements user.Store.
func (s *Store) List(ctx context.Context, r page.Request) (page.Page[user.User], error) {
	return page.Rows[user.User]{
		Below: func(r page.Request) ([]user.User, error) {
			return sqlite.All(ctx, s.DB, scan, listUsers, r.Before, r.Limit)
		},
		ID: func(u user.User) uuid.UUID { return u.ID },
	}.Collect(r)
}

// ListByTime implements user.Store.
func (s *Store) ListByTime(ctx context.Context, after time.Time, r page.Request) (page.Page[user.User], error) {
	return page.Rows[user.User]{
		Below: func(r page.Request) ([]user.User, error) {
			return sqlite.All(ctx, s.DB, scan, listUsersByTime, r.At, r.Before, after, r.Limit)
		},
		ID:   func(u user.User) uuid.UUID { return u.ID },
		Time: func(u user.User) time.Time { return u.CreatedAt },
	}.Collect(r)
}

// Update implements user.Store.
func (s *Store) Update(ctx context.Context, u user.User) error {
	return s.write(ctx, func(c *sqlite.Conn) error {
		return changed(c.Exec(ctx, updateUser, u.Name, u.Email.String(), u.Email.Key(), u.Age, u.Version, u.UpdatedAt, u.ID, u.Version-1))
	})
}

// Delete implements user.Store.
func (s *Store) Delete(ctx context.Context, id uuid.UUID, version int64) error {
	return s.write(ctx, func(c *sqlite.Conn) error {
		c.Erases()
		err := changed(c.Exec(ctx, deleteUser, id, version))
		if err != nil {
			return err
		}
		return sqlitekeys.Erase(ctx, c, id)
	})
}

func (s *Store) write(ctx context.Context, do func(*sqlite.Conn) error) error {
	err := s.Write(ctx, do)
	switch {
	case sqlite.UniqueViolation(err, primaryKey), sqlite.Raised(err, wasDeleted):
		return user.ErrExists
	case sqlite.UniqueViolation(err, uniqueEmail):
		return user.ErrEmailTaken
	}
	return err
}

func found(u user.User, err error) (user.User, error) {
	if errors.Is(err, sqlite.ErrNoRow) {
		return user.User{}, user.ErrNotFound
	}
	return u, err
}

func changed(n int, err error) error {
	if err == nil && n == 0 {
		return user.ErrStale
	}
	return err
}
