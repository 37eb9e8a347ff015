// Package postgres keeps orders in PostgreSQL.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/order-service/internal/order"
	"github.com/example/microservices/services/order-service/internal/store/postgres/db"
)

const (
	schema          = "order_service"
	migrationsTable = schema + ".goose_db_version"
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
	return migration.Set{Files: files, Dialect: goose.DialectPostgres, Table: migrationsTable, Required: schemaVersion}
}

// Store is a order.Store and an idempotency.Store.
type Store struct {
	db      *postgres.DB
	queries *db.Queries
}

// Open connects to the database at address.
func Open(ctx context.Context, address string, login database.Login) (*Store, error) {
	d, err := postgres.Open(ctx, address, schema, login)
	if err != nil {
		return nil, err
	}
	return &Store{db: d, queries: db.New(d)}, nil
}

// Migrate brings the schema up to date.
func (s *Store) Migrate(ctx context.Context, log *slog.Logger) error {
	return s.db.Migrate(ctx, Migrations(), log)
}

// Check returns an error unless the database answers and its schema is new
// enough.
func (s *Store) Check(ctx context.Context) error { return s.db.Check(ctx, Migrations()) }

// Stats returns the state of the connection pool.
func (s *Store) Stats() database.Stats { return s.db.Stats() }

// Close closes the connections.
func (s *Store) Close() error { return s.db.Close() }

// Create is part of order.Store.
func (s *Store) Create(ctx context.Context, o order.Order, record *idempotency.Record) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
	if record == nil {
		return postgres.Wrap(s.queries.CreateOrder(ctx, db.CreateOrderParams{
			ID: o.ID, UserID: o.UserID, Items: string(items), ShippingAddress: o.ShippingAddress, Status: o.Status, TotalAmount: o.Total,
			Version: o.Version, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
		}))
	}
	n, err := s.queries.CreateOrderOnce(ctx, db.CreateOrderOnceParams{
		ID: o.ID, UserID: o.UserID, Items: string(items), ShippingAddress: o.ShippingAddress, Status: string(o.Status), TotalAmount: o.Total,
		Version: o.Version, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
		Caller: record.Key.Caller, Key: record.Key.Value, Fingerprint: record.Fingerprint,
		AnswerStatus: int32(record.Answer.Status), Location: record.Answer.Location, Etag: record.Answer.ETag, Body: record.Answer.Body, //nolint:gosec // an HTTP status
		RecordedAt: record.CreatedAt, ExpiresAt: record.ExpiresAt,
	})
	if err == nil && n == 0 {
		return idempotency.ErrTaken
	}
	return postgres.Wrap(err)
}

// Get is part of order.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (order.Order, error) {
	row, err := s.queries.GetOrder(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return order.Order{}, order.ErrNotFound
	}
	if err != nil {
		return order.Order{}, postgres.Wrap(err)
	}
	return fromRow(row)
}

// List is part of order.Store.
func (s *Store) List(ctx context.Context, f order.Filter, r page.Request) (page.Page[order.Order], error) {
	return page.Rows[db.OrderServiceOrder, order.Order]{
		Below: func(r page.Request) ([]db.OrderServiceOrder, error) {
			rows, err := s.list(ctx, f, r.Before, int32(r.Limit)) //nolint:gosec // at most page.MaxLimit + 1
			return rows, postgres.Wrap(err)
		},
		ID:      func(row db.OrderServiceOrder) uuid.UUID { return row.ID },
		Size:    func(row db.OrderServiceOrder) int { return len(row.Items) + len(row.ShippingAddress) },
		Convert: fromRow,
	}.Collect(r)
}

// list has a query for each combination of filters, so that each has a plan
// of its own.
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

// Update is part of order.Store.
func (s *Store) Update(ctx context.Context, o order.Order) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
	return changed(s.queries.UpdateOrder(ctx, db.UpdateOrderParams{
		ID: o.ID, Items: string(items), ShippingAddress: o.ShippingAddress, Status: o.Status, TotalAmount: o.Total,
		UpdatedAt: o.UpdatedAt, StoredVersion: o.Version - 1,
	}))
}

// Delete is part of order.Store.
func (s *Store) Delete(ctx context.Context, id uuid.UUID, version int64) error {
	return changed(s.queries.DeleteOrder(ctx, db.DeleteOrderParams{ID: id, StoredVersion: version}))
}

// Recorded is part of idempotency.Store.
func (s *Store) Recorded(ctx context.Context, key idempotency.Key, now time.Time) (idempotency.Record, error) {
	row, err := s.queries.GetIdempotencyKey(ctx, db.GetIdempotencyKeyParams{Caller: key.Caller, Key: key.Value, At: now})
	if errors.Is(err, pgx.ErrNoRows) {
		return idempotency.Record{}, idempotency.ErrNotFound
	}
	if err != nil {
		return idempotency.Record{}, postgres.Wrap(err)
	}
	return idempotency.Record{
		Key: key, Fingerprint: row.Fingerprint, CreatedAt: row.CreatedAt.UTC(), ExpiresAt: row.ExpiresAt.UTC(),
		Answer: idempotency.Answer{Status: int(row.Status), Location: row.Location, ETag: row.Etag, Body: row.Body},
	}, nil
}

// Purge is part of idempotency.Store.
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (int, error) {
	n, err := s.queries.PurgeIdempotencyKeys(ctx, db.PurgeIdempotencyKeysParams{ExpiresAt: now, Limit: int32(limit)}) //nolint:gosec // a small number
	return int(n), postgres.Wrap(err)
}

func fromRow(row db.OrderServiceOrder) (order.Order, error) {
	o := order.Order{
		ID: row.ID, UserID: row.UserID, ShippingAddress: row.ShippingAddress, Status: row.Status, Total: row.TotalAmount,
		Version: row.Version, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
	err := json.Unmarshal([]byte(row.Items), &o.Items)
	if err != nil {
		return order.Order{}, fmt.Errorf("read the items of order %s: %w", row.ID, err)
	}
	return o, nil
}

func changed(n int64, err error) error {
	if err == nil && n == 0 {
		return order.ErrStale
	}
	return postgres.Wrap(err)
}
