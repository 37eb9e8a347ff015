// Package postgres stores widgets in PostgreSQL.
package postgres

import (
	"context"
	"embed"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/idempotency/postgreskeys"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/widget-service/internal/store/postgres/db"
	"github.com/example/microservices/services/widget-service/internal/widget"
)

const (
	schema = "widget_service"
	// schemaVersion is the oldest migration with which the queries work. It is not always
	// the newest one (docs/decisions/schema-versions.md).
	schemaVersion = 1
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations are the migrations of the schema.
var Migrations = migration.Postgres(schema, files, schemaVersion)

// Store stores widgets and idempotency records.
type Store struct {
	*postgres.DB
	postgreskeys.Keys
	queries *db.Queries
}

// Open connects to the database at address.
func Open(ctx context.Context, address string, login database.Login) (*Store, error) {
	d, err := postgres.Open(ctx, address, login, Migrations)
	if err != nil {
		return nil, err
	}
	return &Store{d, postgreskeys.New(d, schema), db.New(d)}, nil
}

// Create implements api.Store.
func (s *Store) Create(ctx context.Context, it widget.Widget, record *idempotency.Record) error {
	if record == nil {
		return postgres.Wrap(s.queries.CreateWidget(ctx, db.CreateWidgetParams{
			ID: it.ID, OwnerID: it.OwnerID, Name: it.Name, Quantity: it.Quantity,
			Version: it.Version, CreatedAt: it.CreatedAt, UpdatedAt: it.UpdatedAt,
		}))
	}
	n, err := s.queries.CreateWidgetOnce(ctx, db.CreateWidgetOnceParams{
		ID: it.ID, OwnerID: it.OwnerID, Name: it.Name, Quantity: it.Quantity,
		Version: it.Version, CreatedAt: it.CreatedAt, UpdatedAt: it.UpdatedAt,
		Caller: record.Key.Caller, Key: record.Key.Value, Fingerprint: record.Fingerprint,
		Status: int32(record.Answer.Status), Location: record.Answer.Location, Etag: record.Answer.ETag, Body: record.Answer.Body, //nolint:gosec // an HTTP status
		RecordedAt: record.CreatedAt, ExpiresAt: record.ExpiresAt,
	})
	if err == nil && n == 0 {
		return idempotency.ErrTaken
	}
	return postgres.Wrap(err)
}

// Get implements widget.Store.
func (s *Store) Get(ctx context.Context, id uuid.UUID) (widget.Widget, error) {
	row, err := s.queries.GetWidget(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return widget.Widget{}, widget.ErrNotFound
	}
	return fromRow(row.WidgetServiceWidget), postgres.Wrap(err)
}

// List implements widget.Store.
func (s *Store) List(ctx context.Context, f widget.Filter, r page.Request) (page.Page[widget.Widget], error) {
	return page.Rows[widget.Widget]{
		Below: func(r page.Request) (widgets []widget.Widget, err error) {
			after, before := f.IDs(r.Before)
			limit := int32(r.Limit) //nolint:gosec // at most page.MaxLimit + 1
			if f.OwnerID != nil {
				rows, err := s.queries.ListWidgetsOfOwner(ctx, db.ListWidgetsOfOwnerParams{OwnerID: *f.OwnerID, Before: before, AfterID: after, RowLimit: limit})
				for _, row := range rows {
					widgets = append(widgets, fromRow(row.WidgetServiceWidget))
				}
				return widgets, postgres.Wrap(err)
			}
			rows, err := s.queries.ListWidgets(ctx, db.ListWidgetsParams{Before: before, AfterID: after, RowLimit: limit})
			for _, row := range rows {
				widgets = append(widgets, fromRow(row.WidgetServiceWidget))
			}
			return widgets, postgres.Wrap(err)
		},
		ID: func(it widget.Widget) uuid.UUID { return it.ID },
	}.Collect(r)
}

// Update implements widget.Store.
func (s *Store) Update(ctx context.Context, it widget.Widget) error {
	return changed(s.queries.UpdateWidget(ctx, db.UpdateWidgetParams{
		ID: it.ID, Name: it.Name, Quantity: it.Quantity,
		UpdatedAt: it.UpdatedAt, StoredVersion: it.Version - 1,
	}))
}

// Delete implements widget.Store.
func (s *Store) Delete(ctx context.Context, id uuid.UUID, version int64) error {
	return changed(s.queries.DeleteWidget(ctx, db.DeleteWidgetParams{ID: id, StoredVersion: version}))
}

func fromRow(row db.WidgetServiceWidget) widget.Widget {
	return widget.Widget{
		ID: row.ID, OwnerID: row.OwnerID, Name: row.Name, Quantity: row.Quantity,
		Version: row.Version, CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
}

func changed(n int64, err error) error {
	if err == nil && n == 0 {
		return widget.ErrStale
	}
	return postgres.Wrap(err)
}
