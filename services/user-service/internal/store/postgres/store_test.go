package postgres_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/plan"
	testserver "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/events/eventstest"
	"github.com/example/microservices/services/user-service/internal/store/postgres"
	"github.com/example/microservices/services/user-service/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

func open(t *testing.T, address string) *postgres.Store { return openAs(t, address, true) }

func openAs(t *testing.T, address string, joined bool) *postgres.Store {
	s, err := postgres.Open(t.Context(), address, database.Login{}, joined)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, testserver.New(t)) })
}

// TestALostRecordOfAnErasureIsRecovered: two acknowledgements by an earlier version, one of
// them withdrawing, could leave a deletion acknowledged without a record.
func TestALostRecordOfAnErasureIsRecovered(t *testing.T) {
	address := testserver.New(t)
	s := open(t, address)
	u := storetest.New(t)
	require.NoError(t, s.Create(t.Context(), u, nil))
	require.NoError(t, s.Delete(t.Context(), u.ID, 1))
	both := eventstest.All(t, s, 2, 2)
	require.NoError(t, s.Acknowledge(t.Context(), "behind", both[0].Cursor, time.Now()))
	require.NoError(t, s.Acknowledge(t.Context(), "done", both[1].Cursor, time.Now()))
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	tag, err := conn.Exec(t.Context(), "DELETE FROM user_service.erasures")
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	first, _, err := s.Erasure(t.Context(), u.ID)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), *first.Consumers["done"], time.Minute)
	require.Nil(t, first.Consumers["behind"])
	again, _, err := s.Erasure(t.Context(), u.ID)
	require.NoError(t, err)
	require.Equal(t, first, again)
}

func TestStoreThatJoinsNothing(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return openAs(t, testserver.New(t), false) })
}

// TestStoreWithoutPreparedStatements runs the store as behind an older PgBouncer.
func TestStoreWithoutPreparedStatements(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		return open(t, testserver.New(t)+"&default_query_exec_mode=exec")
	})
}

// TestTheSchemaRejectsInvalidRows bypasses the service: the schema rejects invalid rows.
func TestTheSchemaRejectsInvalidRows(t *testing.T) {
	address := testserver.New(t)
	open(t, address)
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	const insert = `INSERT INTO user_service.users (id, name, email, email_key, age, version, created_at, updated_at) VALUES (gen_random_uuid(), $1, $2, $2, $3, 1, now(), now())`
	for name, c := range map[string]struct {
		name, email string
		age         int
	}{
		"a blank name": {"", "a@b.co", 1}, "a negative age": {"a", "b@b.co", -1}, "a great age": {"a", "c@b.co", 151},
	} {
		_, err := conn.Exec(t.Context(), insert, c.name, c.email, c.age)
		require.ErrorContains(t, err, "check constraint", name)
	}
	_, err = conn.Exec(t.Context(), insert, "a", "a@b.co", 1)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), insert, "a", "a@b.co", 1)
	require.ErrorContains(t, err, "unique constraint")
}

// TestAPageReadsOnlyItsRows: queries read only a page's rows, however many users exist,
// with generic plans and with custom ones.
func TestAPageReadsOnlyItsRows(t *testing.T) {
	address := testserver.New(t)
	open(t, address)
	conn, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), `INSERT INTO user_service.users (id, name, email, email_key, version, created_at, updated_at)
		SELECT gen_random_uuid(), 'n', i, i, 1, timestamptz '2026-01-01' + i * interval '1 s', now() FROM generate_series(1, 20000) AS i; ANALYZE user_service.users`)
	require.NoError(t, err)
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	for name, row := range map[string]struct {
		uses string
		args []any
	}{
		"GetUserByEmail":  {`Index Scan using users_email_key_unique`, []any{"7"}},
		"ListUsersByTime": {`Index Scan Backward using users_created_at on users.*\n +Index Cond: \(\(ROW\(created_at, id\) < ROW\(.*\)\) AND \(created_at > .*\)\)`, []any{at(15000), uuid.Max, at(10), 21}},
		"ListUsers":       {`Index Scan Backward using users_pkey`, []any{uuid.Max, 21}},
	} {
		custom, generic := plan.Postgres(t, conn, plan.Query(t, name), row.args...)
		plan.RequireIndex(t, custom, row.uses)
		plan.RequireIndex(t, generic, row.uses)
	}
	custom, generic := plan.Postgres(t, conn, plan.Query(t, "GetUsers"), "{"+uuid.NewString()+","+uuid.NewString()+"}")
	require.Contains(t, custom, "users_pkey")
	require.Contains(t, generic, "users_pkey")
}
