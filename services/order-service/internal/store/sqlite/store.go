// Package sqlite stores orders in a SQLite file.
package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/events/sqliteevents"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/sqlitekeys"
	"github.com/example/microservices/pkg/money"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/order-service/internal/order"
)

// schemaVersion is the oldest migration with which the queries work. It is not always the
// newest one (docs/decisions/schema-versions.md).
const schemaVersion = 3

// userErased is the error that the orders trigger raises for a deleted user.
const userErased = "orders_user_erased"

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the migrations of the schema.
var Migrations = migration.SQLite(files, schemaVersion)

// Store stores orders, idempotency records, events, and tombstones of deleted users.
type Store struct {
	*sqlite.DB
	sqlitekeys.Keys
	sqliteevents.Events
}

// Open opens the file at path.
func Open(path string) (*Store, error) {
	db, err := sqlite.Open(path, Migrations)
	if err != nil {
		return nil, err
	}
	return &Store{db, sqlitekeys.Keys{DB: db}, sqliteevents.New(db, false)}, nil
}

// A list query for each combination of filters, so that each has its own plan.
const (
	selectOrder = "SELECT id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by FROM orders "
	between     = "id < ? AND id > ? ORDER BY id DESC LIMIT ?+0"

	getOrder           = "-- name: GetOrder\n" + selectOrder + "WHERE id = ?"
	listOrders         = "-- name: ListOrders\n" + selectOrder + "WHERE " + between
	listOrdersOfUser   = "-- name: ListOrdersOfUser\n" + selectOrder + "WHERE user_id = ? AND " + between
	listOrdersInStatus = "-- name: ListOrdersInStatus\n" + selectOrder + "WHERE status = ? AND " + between
	// By default SQLite chooses orders_status, and scans the orders of all users.
	listOrdersOfUserInStatus = "-- name: ListOrdersOfUserInStatus\n" + selectOrder + "INDEXED BY orders_user_status WHERE user_id = ? AND status = ? AND " + between
	createOrder              = "-- name: CreateOrder\nINSERT INTO orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at, erased_at, changed_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	updateOrder              = "-- name: UpdateOrder\nUPDATE orders SET items = ?, shipping_address = ?, status = ?, total_amount = ?, version = ?, updated_at = ?, erased_at = ?, changed_by = ? WHERE id = ? AND version = ?"
	deleteOrder              = "-- name: DeleteOrder\nDELETE FROM orders WHERE id = ? AND version = ?"
)

func scan(r sqlite.Row) (o order.Order, err error) {
	o = order.Order{
		ShippingAddress: r.Text(3), Status: order.Status(r.Text(4)), Total: money.Amount(r.Int(5)),
		Version: r.Int(6), CreatedAt: r.Time(7), UpdatedAt: r.Time(8), ErasedAt: r.NullTime(9), ChangedBy: order.Role(r.Text(10)),
	}
	o.ID, err = r.UUID(0)
	if err != nil {
		return o, err
	}
	o.UserID, err = r.UUID(1)
	if err != nil {
		return o, err
	}
	err = json.Unmarshal(r.Bytes(2), &o.Items)
	if err != nil {
		return o, fmt.Errorf("read the items of order %s: %w", o.ID, err)
	}
	return o, nil
}

// Create implements api.Store.
func (s *Store) Create(ctx context.Context, o order.Order, record *idempotency.Record) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
	return s.Write(ctx, func(c *sqlite.Conn) error {
		err := sqlitekeys.Add(ctx, c, record)
		if err != nil {
			return err
		}
		_, err = c.Exec(ctx, createOrder, o.ID, o.UserID, string(items), o.ShippingAddress, string(o.Status), int64(o.Total), o.Version, o.CreatedAt, o.UpdatedAt, o.ErasedAt, string(o.ChangedBy))
		if sqlite.Raised(err, userErased) {
			return order.ErrUserUnknown
		}
		return err
	})
}

// Get implements order.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (order.Order, error) {
	o, err := sqlite.One(ctx, s.DB, scan, getOrder, id)
	if errors.Is(err, sqlite.ErrNoRow) {
		err = order.ErrNotFound
	}
	return o, err
}

// List implements order.Store.
func (s *Store) List(ctx context.Context, f order.Filter, r page.Request) (page.Page[order.Order], error) {
	return page.Rows[order.Order]{
		Below: func(r page.Request) ([]order.Order, error) {
			after, before := f.IDs(r.Before)
			switch {
			case f.UserID != nil && f.Status != nil:
				return sqlite.All(ctx, s.DB, scan, listOrdersOfUserInStatus, *f.UserID, string(*f.Status), before, after, r.Limit)
			case f.UserID != nil:
				return sqlite.All(ctx, s.DB, scan, listOrdersOfUser, *f.UserID, before, after, r.Limit)
			case f.Status != nil:
				return sqlite.All(ctx, s.DB, scan, listOrdersInStatus, string(*f.Status), before, after, r.Limit)
			}
			return sqlite.All(ctx, s.DB, scan, listOrders, before, after, r.Limit)
		},
		ID:   func(o order.Order) uuid.UUID { return o.ID },
		Size: order.Order.Size,
	}.Collect(r)
}

// Update implements order.Store.
func (s *Store) Update(ctx context.Context, o order.Order) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
	return s.Write(ctx, func(c *sqlite.Conn) error {
		return changed(c.Exec(ctx, updateOrder, string(items), o.ShippingAddress, string(o.Status), int64(o.Total), o.Version, o.UpdatedAt, o.ErasedAt, string(o.ChangedBy), o.ID, o.Version-1))
	})
}

// Delete implements order.Store.
func (s *Store) Delete(ctx context.Context, id uuid.UUID, version int64) error {
	return s.Write(ctx, func(c *sqlite.Conn) error {
		c.Erases()
		err := changed(c.Exec(ctx, deleteOrder, id, version))
		if err != nil {
			return err
		}
		return sqlitekeys.Erase(ctx, c, id)
	})
}

func changed(n int, err error) error {
	if err == nil && n == 0 {
		return order.ErrStale
	}
	return err
}
