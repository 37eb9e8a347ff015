package sqliteevents_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/plan"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/sqlite"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/events/sqliteevents"
)

// TestACursorOfAnotherDatabaseIsRejected: cursors of PostgreSQL have a turn, and its
// positions say nothing here. A reader must begin again, or it would skip events.
func TestACursorOfAnotherDatabaseIsRejected(t *testing.T) {
	files := fstest.MapFS{"migrations/00001_things.sql": {Data: []byte(schema)}}
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "db"), migration.SQLite(files, 1))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
		_, err := c.Exec(t.Context(), "INSERT INTO things VALUES ('019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4d', 'lamp'), ('019dd1a2-6a5f-7cc3-9d3a-0c8a3f1b2c4e', 'desk')")
		return err
	}))
	all := sqliteevents.New(db, false)
	found, err := all.EventsAfter(t.Context(), events.Cursor{}, 10)
	require.NoError(t, err)
	require.Len(t, found, 2)
	found, err = all.EventsAfter(t.Context(), found[0].Cursor, 10)
	require.NoError(t, err)
	require.Len(t, found, 1)
	_, err = all.EventsAfter(t.Context(), events.Cursor{Turn: 734, Position: found[0].Cursor.Position}, 10)
	require.ErrorIs(t, err, events.ErrGone)
	err = sqliteevents.NewConsumers(db).Acknowledge(t.Context(), "orders", events.Cursor{Turn: 734, Position: found[0].Cursor.Position}, time.Now())
	require.ErrorIs(t, err, events.ErrGone)
}

// TestAnAcknowledgementReadsOnlyItsDeletions: it runs in the only writer, and must not read
// all events, nor all deletions.
func TestAnAcknowledgementReadsOnlyItsDeletions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.db")
	db, err := sqlite.Open(file, migration.SQLite(os.DirFS("../../../services/user-service/internal/store/sqlite"), 1))
	require.NoError(t, err)
	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	require.NoError(t, db.Close())
	const deletions = `SEARCH events USING COVERING INDEX events_deleted \(position>\? AND position<\?\)`
	for name, row := range map[string]struct {
		uses string
		args []any
	}{
		"UnacknowledgedDeletion": {`SEARCH events USING INDEX events_deleted \(position>\?\)`, []any{"a"}},
		"NextDeletions":          {deletions, []any{1, 2, 499}},
		"PreviousDeletions":      {deletions, []any{1, 2, 499}},
		"NoteErasures":           {deletions, []any{"a", 0, 1, 2}},
		"UndoErasures":           {deletions, []any{"a", 1, 2}},
	} {
		plan.RequireIndex(t, plan.SQLite(t, file, sqliteevents.Queries[name], row.args...), row.uses)
	}
}

// TestAnAcknowledgementIsConsistentAfterEachBatch: the cursor and the erasures agree after a
// failure between two batches.
func TestAnAcknowledgementIsConsistentAfterEachBatch(t *testing.T) {
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "users.db"), migration.SQLite(os.DirFS("../../../services/user-service/internal/store/sqlite"), 1))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	exec := func(statement string) {
		require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
			_, err := c.Exec(t.Context(), statement)
			return err
		}))
	}
	exec(`WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 1200)
		INSERT INTO events (position, subject, type, version, time, data) SELECT i, printf('%036d', i), 'deleted', 1, 0, '{}' FROM numbers`)
	acknowledge := func(position int64) error {
		return sqliteevents.NewConsumers(db).Acknowledge(t.Context(), "a", events.Cursor{Position: position}, time.Now())
	}
	state := func(want int64) {
		t.Helper()
		for _, query := range []string{"SELECT position FROM consumers", "SELECT count(*) FROM erasures"} {
			got, err := sqlite.One(t.Context(), db, func(r sqlite.Row) (int64, error) { return r.Int(0), nil }, query)
			require.NoError(t, err)
			require.Equal(t, want, got, query)
		}
	}
	for _, change := range []struct {
		when     string
		to, kept int64
	}{
		{"INSERT ON erasures WHEN NEW", 1200, 500},
		{"DELETE ON erasures WHEN OLD", 0, 700},
	} {
		exec("CREATE TRIGGER fail BEFORE " + change.when + ".user_id = printf('%036d', 700) BEGIN SELECT RAISE(ABORT, 'failed'); END")
		require.Error(t, acknowledge(change.to))
		state(change.kept)
		exec("DROP TRIGGER fail")
		require.NoError(t, acknowledge(1200))
		state(1200)
	}
}

// TestTheLastOfTwoAcknowledgementsWins: another acknowledgement moves the consumer between
// two batches. The first one stops, or the two would move it to and fro.
func TestTheLastOfTwoAcknowledgementsWins(t *testing.T) {
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "users.db"), migration.SQLite(os.DirFS("../../../services/user-service/internal/store/sqlite"), 1))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	for _, statement := range []string{
		`WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 1200)
		INSERT INTO events (position, subject, type, version, time, data) SELECT i, printf('%036d', i), 'deleted', 1, 0, '{}' FROM numbers`,
		"INSERT INTO consumers (name, turn, position) VALUES ('a', 0, 0)",
		"CREATE TRIGGER another AFTER UPDATE ON consumers WHEN NEW.position = 500 BEGIN UPDATE consumers SET position = 7; END",
	} {
		require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
			_, err := c.Exec(t.Context(), statement)
			return err
		}))
	}
	require.NoError(t, sqliteevents.NewConsumers(db).Acknowledge(t.Context(), "a", events.Cursor{Position: 1200}, time.Now()))
	got, err := sqlite.One(t.Context(), db, func(r sqlite.Row) (int64, error) { return r.Int(0), nil }, "SELECT position FROM consumers")
	require.NoError(t, err)
	require.EqualValues(t, 7, got)
}

// TestAPurgeReadsOutsideTheWriter: to find expired events it reads all, which must not
// delay the writes of others.
func TestAPurgeReadsOutsideTheWriter(t *testing.T) {
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "users.db"), migration.SQLite(os.DirFS("../../../services/user-service/internal/store/sqlite"), 1))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
		_, err := c.Exec(t.Context(), `INSERT INTO events (subject, type, version, time, data) VALUES (printf('%036d', 1), 'created', 1, ?1, '{}'), (printf('%036d', 2), 'deleted', 2, 0, '{}')`, time.Now())
		return err
	}))
	writing, done, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- db.Write(t.Context(), func(*sqlite.Conn) error {
			close(writing)
			<-done
			return nil
		})
	}()
	<-writing
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	n, err := sqliteevents.New(db, true).PurgeEvents(ctx, time.Now().Add(-time.Hour), 100)
	close(done)
	require.NoError(t, <-ended)
	require.NoError(t, err)
	require.Zero(t, n)
}
