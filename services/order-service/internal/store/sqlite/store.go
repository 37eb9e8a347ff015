// Package sqlite keeps orders in a SQLite file.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/pressly/goose/v3"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/money"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/order-service/internal/order"
	"github.com/example/microservices/services/order-service/internal/store/sqlite/db"
)

const (
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

// Store is a order.Store and an idempotency.Store.
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
	return sqlite.Wrap(s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return do(ctx, q.WithTx(tx)) }))
}

// Create is part of order.Store.
func (s *Store) Create(ctx context.Context, o order.Order, record *idempotency.Record) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
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
		return q.CreateOrder(ctx, db.CreateOrderParams{
			ID: o.ID, UserID: o.UserID, Items: string(items), ShippingAddress: o.ShippingAddress, Status: o.Status, TotalAmount: int64(o.Total),
			Version: o.Version, CreatedAt: o.CreatedAt.UnixMicro(), UpdatedAt: o.UpdatedAt.UnixMicro(),
		})
	})
}

// Get is part of order.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (order.Order, error) {
	ctx, q, err := s.reads.Get(ctx)
	if err != nil {
		return order.Order{}, err
	}
	row, err := q.GetOrder(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return order.Order{}, order.ErrNotFound
	}
	if err != nil {
		return order.Order{}, sqlite.Wrap(err)
	}
	return fromRow(row)
}

// List is part of order.Store.
func (s *Store) List(ctx context.Context, f order.Filter, r page.Request) (page.Page[order.Order], error) {
	ctx, q, err := s.reads.Get(ctx)
	if err != nil {
		return page.Page[order.Order]{}, err
	}
	return page.Rows[db.Order, order.Order]{
		Below: func(r page.Request) ([]db.Order, error) {
			rows, err := list(ctx, q, f, r.Before, int64(r.Limit))
			return rows, sqlite.Wrap(err)
		},
		ID:      func(row db.Order) uuid.UUID { return row.ID },
		Size:    func(row db.Order) int { return len(row.Items) + len(row.ShippingAddress) },
		Convert: fromRow,
	}.Collect(r)
}

// list has a query for each combination of filters, so that each has a plan
// of its own.
func list(ctx context.Context, q *db.Queries, f order.Filter, below uuid.UUID, limit int64) ([]db.Order, error) {
	ofUser, inStatus := f.UserID != nil, f.Status != nil
	after, before := f.IDs(below)
	switch {
	case ofUser && inStatus:
		return q.ListOrdersOfUserInStatus(ctx, db.ListOrdersOfUserInStatusParams{UserID: *f.UserID, Status: *f.Status, Before: before, AfterID: after, RowLimit: limit})
	case ofUser:
		return q.ListOrdersOfUser(ctx, db.ListOrdersOfUserParams{UserID: *f.UserID, Before: before, AfterID: after, RowLimit: limit})
	case inStatus:
		return q.ListOrdersInStatus(ctx, db.ListOrdersInStatusParams{Status: *f.Status, Before: before, AfterID: after, RowLimit: limit})
	}
	return q.ListOrders(ctx, db.ListOrdersParams{Before: before, AfterID: after, RowLimit: limit})
}

// Update is part of order.Store.
func (s *Store) Update(ctx context.Context, o order.Order) error {
	items, err := json.Marshal(o.Items)
	if err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
	return s.write(ctx, func(ctx context.Context, q *db.Queries) error {
		return changed(q.UpdateOrder(ctx, db.UpdateOrderParams{
			ID: o.ID, Items: string(items), ShippingAddress: o.ShippingAddress, Status: o.Status, TotalAmount: int64(o.Total),
			UpdatedAt: o.UpdatedAt.UnixMicro(), StoredVersion: o.Version - 1,
		}))
	})
}

// Delete is part of order.Store.
func (s *Store) Delete(ctx context.Context, id uuid.UUID, version int64) error {
	return s.write(ctx, func(ctx context.Context, q *db.Queries) error {
		err := changed(q.DeleteOrder(ctx, db.DeleteOrderParams{ID: id, Version: version}))
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

func fromRow(row db.Order) (order.Order, error) {
	o := order.Order{
		ID: row.ID, UserID: row.UserID, ShippingAddress: row.ShippingAddress, Status: row.Status, Total: money.Amount(row.TotalAmount),
		Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt),
	}
	err := json.Unmarshal([]byte(row.Items), &o.Items)
	if err != nil {
		return order.Order{}, fmt.Errorf("read the items of order %s: %w", row.ID, err)
	}
	return o, nil
}

func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

func changed(n int64, err error) error {
	if err == nil && n == 0 {
		return order.ErrStale
	}
	return err
}
