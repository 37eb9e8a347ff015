package postgresevents_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/example/microservices/internal/testkit/plan"
	testpostgres "github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/pkg/database"
	"github.com/example/microservices/pkg/database/migration"
	"github.com/example/microservices/pkg/database/postgres"
	"github.com/example/microservices/pkg/events"
	"github.com/example/microservices/pkg/events/eventstest"
	"github.com/example/microservices/pkg/events/postgresevents"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(testpostgres.Exit)) }

const schema = "user_service"

// users is a database with user-service's migrations.
type users struct {
	postgresevents.Events
	consumers postgresevents.Consumers
	t         *testing.T
	address   string
}

func open(t *testing.T) *users {
	t.Helper()
	address := testpostgres.New(t)
	db, err := postgres.Open(t.Context(), address, database.Login{}, migration.Postgres(schema, os.DirFS("../../../services/user-service/internal/store/postgres"), 1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.Migrate(t.Context(), slog.New(slog.DiscardHandler)))
	return &users{postgresevents.New(db, schema, true), postgresevents.NewConsumers(db, schema), t, address}
}

// executor is a connection or a transaction.
type executor interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
}

func (u *users) exec(db executor, statement string, args ...any) {
	u.t.Helper()
	_, err := db.Exec(u.t.Context(), statement, args...)
	require.NoError(u.t, err)
}

func (u *users) connect() *pgx.Conn {
	u.t.Helper()
	conn, err := pgx.Connect(u.t.Context(), u.address)
	require.NoError(u.t, err)
	u.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

const create = `INSERT INTO user_service.users (id, name, email, email_key, version, created_at, updated_at)
VALUES ($1::uuid, 'Ada', $1::uuid::text, $1::uuid::text, 1, now(), now())`

// begin creates a user in a transaction that stays open.
func (u *users) begin() (id uuid.UUID, commit func()) {
	u.t.Helper()
	tx, err := u.connect().Begin(u.t.Context())
	require.NoError(u.t, err)
	id = uuid.New()
	u.exec(tx, create, id)
	return id, func() { require.NoError(u.t, tx.Commit(u.t.Context())) }
}

// reader reads from its last cursor on.
type reader struct {
	*users
	at   events.Cursor
	read []uuid.UUID
}

// take reads the available events.
func (r *reader) take() {
	r.t.Helper()
	found, err := r.EventsAfter(r.t.Context(), r.at, 100)
	require.NoError(r.t, err)
	for _, e := range found {
		r.at = e.Cursor
		r.read = append(r.read, e.Subject)
	}
}

// takeAll reads until it has n events. PostgreSQL withholds events that are newer than a
// running transaction in any database of the server.
func (r *reader) takeAll(n int) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); len(r.read) < n && time.Now().Before(end); {
		r.take()
	}
}

// TestAReaderSkipsNothing: the transaction that began first commits last. A reader that
// had moved past the other would never see it.
func TestAReaderSkipsNothing(t *testing.T) {
	u := open(t)
	r := &reader{users: u}
	before, commit := u.begin()
	commit()
	r.takeAll(1)
	first, commitFirst := u.begin()
	second, commitSecond := u.begin()
	r.take()
	commitSecond()
	third, commitThird := u.begin()
	commitThird()
	r.take()
	require.Equal(t, []uuid.UUID{before}, r.read, "events after a running transaction are withheld")
	commitFirst()
	r.takeAll(4)
	require.Equal(t, []uuid.UUID{before, first, second, third}, r.read)
}

// TestAReaderSkipsNothingOfMany: ten transactions at a time end in random order, some
// with a rollback, while the reader reads.
func TestAReaderSkipsNothingOfMany(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	u := open(t)
	r := &reader{users: u}
	conns := make([]*pgx.Conn, 10)
	for i := range conns {
		conns[i] = u.connect()
	}
	var want []uuid.UUID
	for range 20 {
		txs, ids := make([]pgx.Tx, len(conns)), make([]uuid.UUID, len(conns))
		for i, conn := range conns {
			tx, err := conn.Begin(t.Context())
			require.NoError(t, err)
			txs[i], ids[i] = tx, uuid.New()
			u.exec(tx, create, ids[i])
		}
		for _, i := range random.Perm(len(conns)) {
			if random.IntN(4) == 0 {
				require.NoError(t, txs[i].Rollback(t.Context()))
			} else {
				require.NoError(t, txs[i].Commit(t.Context()))
				want = append(want, ids[i])
			}
			r.take()
		}
	}
	r.takeAll(len(want))
	require.ElementsMatch(t, want, r.read)
}

// TestADumpOnAServerWithLowerTransactionIDs: after a dump is restored on a server with lower
// transaction ids, new events come after those of the dump.
func TestADumpOnAServerWithLowerTransactionIDs(t *testing.T) {
	u := open(t)
	r := &reader{users: u}
	conn := u.connect()
	old := []uuid.UUID{uuid.New(), uuid.New()}
	for _, id := range old {
		u.exec(conn, create, id)
	}
	// As if the dump came from a server with so many more transactions.
	const ahead = 1 << 40
	u.exec(conn, "UPDATE user_service.events SET turn = turn + $1", int64(ahead))
	require.NoError(t, u.Rebase(t.Context()))
	r.takeAll(2)
	require.Equal(t, old, r.read)
	require.Greater(t, r.at.Turn, int64(ahead))

	after := uuid.New()
	u.exec(conn, create, after)
	r.takeAll(3)
	require.Equal(t, append(old, after), r.read)

	require.NoError(t, u.Rebase(t.Context()), "Rebase at the next start")
	var base int64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT turn FROM user_service.events_base").Scan(&base))
	require.NoError(t, u.Rebase(t.Context()))
	var again int64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT turn FROM user_service.events_base").Scan(&again))
	require.Equal(t, base, again, "a second Rebase changes nothing")
	eventstest.All(t, u, 3, 1)
}

// TestAnAcknowledgementReadsOnlyItsDeletions: it must not read all events, with generic plans and with custom ones.
func TestAnAcknowledgementReadsOnlyItsDeletions(t *testing.T) {
	u := open(t)
	conn := u.connect()
	u.exec(conn, `INSERT INTO user_service.events (turn, position, subject, type, version, time, data)
		SELECT i, i, gen_random_uuid(), CASE i % 2 WHEN 0 THEN 'created' ELSE 'deleted' END, 1, now(), '{}' FROM generate_series(1, 100000) AS i`)
	u.exec(conn, "INSERT INTO user_service.erasures SELECT subject, 'a', now() FROM user_service.events WHERE type = 'deleted'")
	u.exec(conn, "ANALYZE user_service.events, user_service.erasures")
	for name, args := range map[string][]any{
		"UnacknowledgedDeletion": {"a"},
		"NextDeletions":          {50, 50, 1000, 1000, 499},
		"PreviousDeletions":      {50, 50, 1000, 1000, 499},
		"NoteErasures":           {50, 50, 1000, 1000, "a", time.Now()},
		"UndoErasures":           {50, 50, 1000, 1000, "a"},
	} {
		custom, generic := plan.Postgres(t, conn, fmt.Sprintf(postgresevents.Queries[name], schema), args...)
		for _, p := range []string{custom, generic} {
			require.Regexp(t, "events_(deleted|pkey)", p, name)
			require.NotContains(t, p, "Seq Scan on events", name)
		}
	}
}

// TestTheLastOfTwoAcknowledgementsWins: another acknowledgement moves the consumer between
// two batches. The first one stops, or the two would move it to and fro.
func TestTheLastOfTwoAcknowledgementsWins(t *testing.T) {
	u := open(t)
	conn := u.connect()
	u.exec(conn, `INSERT INTO user_service.events (turn, position, subject, type, version, time, data)
		SELECT 1, i, md5(i::text)::uuid, 'deleted', 1, now(), '{}' FROM generate_series(1, 1200) AS i`)
	u.exec(conn, `CREATE FUNCTION another() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.position := 7; RETURN NEW; END $$`)
	u.exec(conn, "CREATE TRIGGER another BEFORE UPDATE ON user_service.consumers FOR EACH ROW WHEN (NEW.position = 500) EXECUTE FUNCTION another()")
	require.NoError(t, u.consumers.Acknowledge(t.Context(), "a", events.Cursor{Turn: 1, Position: 1200}, time.Now()))
	var position int64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT position FROM user_service.consumers").Scan(&position))
	require.EqualValues(t, 7, position)
}

// TestPositionsDifferAfterALoss: the sequence goes back to where it was, as after a failover
// to a standby that lacks the last events. A new event in the same turn gets another
// position nevertheless. Another role than the owner may insert, as before the migration.
func TestPositionsDifferAfterALoss(t *testing.T) {
	u := open(t)
	conn := u.connect()
	role := "writer_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	u.exec(conn, "CREATE ROLE "+role)
	t.Cleanup(func() {
		_, err := conn.Exec(context.Background(), "RESET ROLE; DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
	})
	u.exec(conn, "GRANT USAGE ON SCHEMA user_service TO "+role)
	u.exec(conn, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA user_service TO "+role)
	u.exec(conn, "SELECT nextval('user_service.events_numbers')")
	insert := func() (position int64) {
		u.exec(conn, "SET ROLE "+role)
		require.NoError(t, conn.QueryRow(t.Context(), `INSERT INTO user_service.events (turn, subject, type, version, time, data)
			VALUES (1, gen_random_uuid(), 'created', 1, now(), '{}') RETURNING position`).Scan(&position))
		u.exec(conn, "RESET ROLE")
		return position
	}
	seen := map[int64]bool{}
	for range 3 {
		u.exec(conn, "SELECT setval('user_service.events_numbers', 7)")
		seen[insert()] = true
		u.exec(conn, "DELETE FROM user_service.events")
	}
	require.Len(t, seen, 3)
}

// TestPositionsContinueAfterARollback: with the previous schema and then the new one again,
// positions keep rising, which the order of one user's events in a turn needs.
func TestPositionsContinueAfterARollback(t *testing.T) {
	u := open(t)
	conn := u.connect()
	last := int64(0)
	insert := func() {
		t.Helper()
		var position int64
		require.NoError(t, conn.QueryRow(t.Context(), `INSERT INTO user_service.events (turn, subject, type, version, time, data)
			VALUES (1, gen_random_uuid(), 'created', 1, now(), '{}') RETURNING position`).Scan(&position))
		require.Greater(t, position, last)
		require.Less(t, position, int64(1e9), "it is not multiplied each time")
		last = position
	}
	text, err := os.ReadFile("../../../services/user-service/internal/store/postgres/migrations/00007_positions.sql")
	require.NoError(t, err)
	up, down, _ := strings.Cut(string(text), "-- +goose Down")
	for range 3 {
		for range 3 {
			insert()
		}
		u.exec(conn, down)
		insert()
		u.exec(conn, up)
	}
	insert()
}

// TestAWithheldDeletionIsUnacknowledged: a transaction holds the feed back, so that readers
// seem to be at its end. The metric of unacknowledged deletions must show it.
func TestAWithheldDeletionIsUnacknowledged(t *testing.T) {
	u := open(t)
	r := &reader{users: u}
	conn := u.connect()
	_, commit := u.begin()
	id := uuid.New()
	u.exec(conn, create, id)
	u.exec(conn, "DELETE FROM user_service.users WHERE id = $1", id)
	r.take()
	require.Empty(t, r.read)
	_, exists, err := u.consumers.Unacknowledged(t.Context(), "orders")
	require.NoError(t, err)
	require.True(t, exists)
	commit()
}

// TestAnAcknowledgementIsConsistentAfterEachBatch: the cursor and the erasures agree, after
// a failure between two batches and after acknowledgements at once.
func TestAnAcknowledgementIsConsistentAfterEachBatch(t *testing.T) {
	u := open(t)
	conn := u.connect()
	u.exec(conn, `INSERT INTO user_service.events (turn, position, subject, type, version, time, data)
		SELECT i / 3, i, md5(i::text)::uuid, 'deleted', 1, now(), '{}' FROM generate_series(1, 1200) AS i`)
	u.exec(conn, `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'failed'; END $$`)
	acknowledge := func(turn, position int64) error {
		return u.consumers.Acknowledge(t.Context(), "a", events.Cursor{Turn: turn, Position: position}, time.Now())
	}
	require.NoError(t, acknowledge(0, 0))
	// state checks both; -1: whatever they are.
	state := func(position, erased int64) {
		t.Helper()
		var p, e int64
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT position, (SELECT count(*) FROM user_service.erasures) FROM user_service.consumers").Scan(&p, &e))
		if position < 0 {
			position, erased = e, e
		}
		require.Equal(t, []int64{position, erased}, []int64{p, e})
	}
	u.exec(conn, "CREATE TRIGGER fail BEFORE INSERT ON user_service.erasures FOR EACH ROW WHEN (NEW.user_id = md5('700')::uuid) EXECUTE FUNCTION fail()")
	require.Error(t, acknowledge(400, 1200))
	state(500, 500)
	u.exec(conn, "DROP TRIGGER fail ON user_service.erasures")
	require.NoError(t, acknowledge(400, 1200))
	state(1200, 1200)
	u.exec(conn, "CREATE TRIGGER fail BEFORE DELETE ON user_service.erasures FOR EACH ROW WHEN (OLD.user_id = md5('700')::uuid) EXECUTE FUNCTION fail()")
	require.Error(t, acknowledge(0, 0))
	state(700, 700)
	u.exec(conn, "DROP TRIGGER fail ON user_service.erasures")
	require.NoError(t, acknowledge(99, 299))
	state(299, 299)
	for range 20 {
		var all sync.WaitGroup
		failed := make([]error, 4)
		for i, position := range []int64{1200, 900, 1198, 300} {
			all.Go(func() { failed[i] = acknowledge(position/3, position) })
		}
		all.Wait()
		require.NoError(t, errors.Join(failed...))
		state(-1, -1)
	}
}
