// Package sqlite stores widgets in a SQLite file.
package sqlite

import (
	"context"
	"embed"
	"errors"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/sqlitekeys"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/widget-service/internal/widget"
)

// schemaVersion is the oldest migration with which the queries work. It is not always the
// newest one (docs/decisions/schema-versions.md).
const schemaVersion = 1

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the migrations of the schema.
var Migrations = migration.SQLite(files, schemaVersion)

// Store stores widgets and idempotency records.
type Store struct {
	*sqlite.DB
	sqlitekeys.Keys
}

// Open opens the file at path.
func Open(path string) (*Store, error) {
	db, err := sqlite.Open(path, Migrations)
	if err != nil {
		return nil, err
	}
	return &Store{db, sqlitekeys.Keys{DB: db}}, nil
}

// A list query for each combination of filters, so that each has its own plan.
const (
	selectWidget = "SELECT id, owner_id, name, quantity, version, created_at, updated_at FROM widgets "
	between      = "id < ? AND id > ? ORDER BY id DESC LIMIT ?+0"

	getWidget          = "-- name: GetWidget\n" + selectWidget + "WHERE id = ?"
	listWidgets        = "-- name: ListWidgets\n" + selectWidget + "WHERE " + between
	listWidgetsOfOwner = "-- name: ListWidgetsOfOwner\n" + selectWidget + "WHERE owner_id = ? AND " + between
	createWidget       = "-- name: CreateWidget\nINSERT INTO widgets (id, owner_id, name, quantity, version, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
	updateWidget       = "-- name: UpdateWidget\nUPDATE widgets SET name = ?, quantity = ?, version = ?, updated_at = ? WHERE id = ? AND version = ?"
	deleteWidget       = "-- name: DeleteWidget\nDELETE FROM widgets WHERE id = ? AND version = ?"
)

func scan(r sqlite.Row) (it widget.Widget, err error) {
	it = widget.Widget{
		Name: r.Text(2), Quantity: r.Int(3),
		Version: r.Int(4), CreatedAt: r.Time(5), UpdatedAt: r.Time(6),
	}
	it.ID, err = r.UUID(0)
	if err != nil {
		return it, err
	}
	it.OwnerID, err = r.UUID(1)
	return it, err
}

// Create implements api.Store.
func (s *Store) Create(ctx context.Context, it widget.Widget, record *idempotency.Record) error {
	return s.Write(ctx, func(c *sqlite.Conn) error {
		err := sqlitekeys.Add(ctx, c, record)
		if err != nil {
			return err
		}
		_, err = c.Exec(ctx, createWidget, it.ID, it.OwnerID, it.Name, it.Quantity, it.Version, it.CreatedAt, it.UpdatedAt)
		return err
	})
}

// Get implements widget.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (widget.Widget, error) {
	it, err := sqlite.One(ctx, s.DB, scan, getWidget, id)
	if errors.Is(err, sqlite.ErrNoRow) {
		err = widget.ErrNotFound
	}
	return it, err
}

// List implements widget.Store.
func (s *Store) List(ctx context.Context, f widget.Filter, r page.Request) (page.Page[widget.Widget], error) {
	return page.Rows[widget.Widget]{
		Below: func(r page.Request) ([]widget.Widget, error) {
			after, before := f.IDs(r.Before)
			if f.OwnerID != nil {
				return sqlite.All(ctx, s.DB, scan, listWidgetsOfOwner, *f.OwnerID, before, after, r.Limit)
			}
			return sqlite.All(ctx, s.DB, scan, listWidgets, before, after, r.Limit)
		},
		ID: func(it widget.Widget) uuid.UUID { return it.ID },
	}.Collect(r)
}

// Update implements widget.Store.
func (s *Store) Update(ctx context.Context, it widget.Widget) error {
	return s.Write(ctx, func(c *sqlite.Conn) error {
		return changed(c.Exec(ctx, updateWidget, it.Name, it.Quantity, it.Version, it.UpdatedAt, it.ID, it.Version-1))
	})
}

// Delete implements widget.Store.
func (s *Store) Delete(ctx context.Context, id uuid.UUID, version int64) error {
	return s.Write(ctx, func(c *sqlite.Conn) error {
		err := changed(c.Exec(ctx, deleteWidget, id, version))
		if err != nil {
			return err
		}
		return sqlitekeys.Erase(ctx, c, id)
	})
}

func changed(n int, err error) error {
	if err == nil && n == 0 {
		return widget.ErrStale
	}
	return err
}
