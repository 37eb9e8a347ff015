// Package postgres stores orders in PostgreSQL.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/events/postgresevents"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/postgreskeys"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/order-service/internal/order"
	"github.com/example/microservices/services/order-service/internal/store/postgres/db"
)

const (
	schema = "order_service"
	// schemaVersion is the oldest migration with which the queries work. It is not always
	// the newest one (docs/decisions/schema-versions.md).
	schemaVersion = 4
	// userErased is the constraint that the orders trigger reports for a deleted user.
	userErased = "orders_user_erased"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the migrations of the schema.
var Migrations = migration.Postgres(schema, files, schemaVersion)

// Store stores orders, idempotency records, events, and tombstones of deleted users.
type Store struct {
	*postgres.DB
	postgreskeys.Keys
	postgresevents.Events
	queries *db.Queries
	get     func(context.Context, uuid.UUID) (db.OrderServiceOrder, error)
}

// Open connects to the database at address. If joined, concurrent reads of single orders
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
	s := &Store{d, postgreskeys.New(d, schema), postgresevents.New(d, schema, false), queries, queries.GetOrder}
	if joined {
		s.get = postgres.JoinReads(queries.GetOrder, s.getAll)
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
func (s *Store) Create(ctx context.Context, o order.Order, record *idempotency.Record) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
	if record == nil {
		return wrap(s.queries.CreateOrder(ctx, db.CreateOrderParams{
			ID: o.ID, UserID: o.UserID, Items: string(items), ShippingAddress: o.ShippingAddress, Status: o.Status, TotalAmount: o.Total,
			Version: o.Version, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, ErasedAt: o.ErasedAt, ChangedBy: o.ChangedBy,
		}))
	}
	n, err := s.queries.CreateOrderOnce(ctx, db.CreateOrderOnceParams{
		ID: o.ID, UserID: o.UserID, Items: string(items), ShippingAddress: o.ShippingAddress, Status: string(o.Status), TotalAmount: o.Total,
		Version: o.Version, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, ErasedAt: o.ErasedAt, ChangedBy: string(o.ChangedBy),
		Caller: record.Key.Caller, Key: record.Key.Value, Fingerprint: record.Fingerprint,
		AnswerStatus: int32(record.Answer.Status), Location: record.Answer.Location, Etag: record.Answer.ETag, Body: record.Answer.Body, //nolint:gosec // an HTTP status
		RecordedAt: record.CreatedAt, ExpiresAt: record.ExpiresAt,
	})
	if err == nil && n == 0 {
		return idempotency.ErrTaken
	}
	return wrap(err)
}

// Get implements order.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (order.Order, error) {
	row, err := s.get(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return order.Order{}, order.ErrNotFound
	}
	if err != nil {
		return order.Order{}, postgres.Wrap(err)
	}
	return fromRow(row)
}

// getAll returns the existing rows with these ids.
func (s *Store) getAll(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]db.OrderServiceOrder, error) {
	rows, err := s.queries.GetOrders(ctx, ids)
	found := make(map[uuid.UUID]db.OrderServiceOrder, len(rows))
	for _, row := range rows {
		found[row.ID] = row
	}
	return found, err
}

// List implements order.Store.
func (s *Store) List(ctx context.Context, f order.Filter, r page.Request) (page.Page[order.Order], error) {
	return page.Rows[order.Order]{
		Below: func(r page.Request) ([]order.Order, error) {
			rows, err := s.list(ctx, f, r.Before, int32(r.Limit)) //nolint:gosec // at most page.MaxLimit + 1
			if err != nil {
				return nil, postgres.Wrap(err)
			}
			orders := make([]order.Order, len(rows))
			for i, row := range rows {
				orders[i], err = fromRow(row)
				if err != nil {
					return nil, err
				}
			}
			return orders, nil
		},
		ID:   func(o order.Order) uuid.UUID { return o.ID },
		Size: order.Order.Size,
	}.Collect(r)
}

// list uses a query for each combination of filters, so that each has its own plan.
func (s *Store) list(ctx context.Context, f order.Filter, below uuid.UUID, limit int32) ([]db.OrderServiceOrder, error) {
	ofUser, inStatus := f.UserID != nil, f.Status != nil
	after, before := f.IDs(below)
	switch {
	case ofUser && inStatus:
		return s.queries.ListOrdersOfUserInStatus(ctx, db.ListOrdersOfUserInStatusParams{UserID: *f.UserID, Status: *f.Status, Before: before, AfterID: after, RowLimit: limit})
	case ofUser:
		return s.queries.ListOrdersOfUser(ctx, db.ListOrdersOfUserParams{UserID: *f.UserID, Before: before, AfterID: after, RowLimit: limit})
	case inStatus:
		return s.queries.ListOrdersInStatus(ctx, db.ListOrdersInStatusParams{Status: *f.Status, Before: before, AfterID: after, RowLimit: limit})
	}
	return s.queries.ListOrders(ctx, db.ListOrdersParams{Before: before, AfterID: after, RowLimit: limit})
}

// Update implements order.Store.
func (s *Store) Update(ctx context.Context, o order.Order) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
	return changed(s.queries.UpdateOrder(ctx, db.UpdateOrderParams{
		ID: o.ID, Items: string(items), ShippingAddress: o.ShippingAddress, Status: o.Status, TotalAmount: o.Total,
		UpdatedAt: o.UpdatedAt, ErasedAt: o.ErasedAt, ChangedBy: o.ChangedBy, StoredVersion: o.Version - 1,
	}))
}

// Delete implements order.Store.
func (s *Store) Delete(ctx context.Context, id uuid.UUID, version int64) error {
	return changed(s.queries.DeleteOrder(ctx, db.DeleteOrderParams{ID: id, StoredVersion: version}))
}

func fromRow(row db.OrderServiceOrder) (order.Order, error) {
	o := order.Order{
		ID: row.ID, UserID: row.UserID, ShippingAddress: row.ShippingAddress, Status: row.Status, Total: row.TotalAmount,
		Version: row.Version, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(), ChangedBy: row.ChangedBy,
	}
	if row.ErasedAt != nil {
		erased := row.ErasedAt.UTC()
		o.ErasedAt = &erased
	}
	err := json.Unmarshal([]byte(row.Items), &o.Items)
	if err != nil {
		return order.Order{}, fmt.Errorf("read the items of order %s: %w", row.ID, err)
	}
	return o, nil
}

func wrap(err error) error {
	if postgres.Violates(err, userErased) {
		return order.ErrUserUnknown
	}
	return postgres.Wrap(err)
}

func changed(n int64, err error) error {
	if err == nil && n == 0 {
		return order.ErrStale
	}
	return postgres.Wrap(err)
}
