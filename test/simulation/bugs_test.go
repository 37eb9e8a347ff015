package simulation

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bug is planted by its edits, each of which replaces a text in a file.
type bug struct {
	name  string
	edits []edit
}

type edit struct{ file, old, new string }

const (
	userStore  = "services/user-service/internal/store/sqlite/store.go"
	userAPI    = "services/user-service/internal/api/operations.go"
	userSQL    = "services/user-service/internal/store/sqlite/migrations/00004_events.sql"
	orderStore = "services/order-service/internal/store/sqlite/store.go"
	orderErase = "services/order-service/internal/store/sqlite/erase.go"
	orderSQL   = "services/order-service/internal/store/sqlite/migrations/00003_events.sql"
	orderAPI   = "services/order-service/internal/api/operations.go"
	userClient = "services/order-service/internal/userclient/client.go"
)

var bugs = []bug{
	{"the cursor moves before the effect, in its own transaction", []edit{{orderErase, "	for {\n		done := true\n", "	if e != nil {\n		err := s.Follow(ctx, source, from, to, nil)\n		if err != nil {\n			return err\n		}\n		from = to\n	}\n	for {\n		done := true\n"}}},
	{"an effect doesn't move the cursor", []edit{{orderErase, "			n, err := c.Exec(ctx, moveFollowed", "			if e != nil {\n				return nil\n			}\n			n, err := c.Exec(ctx, moveFollowed"}}},
	{"erased orders are erased again", []edit{{orderErase, "user_id = ?1 AND erased_at IS NULL", "user_id = ?1"}, {orderErase, "			n, err := c.Exec(ctx, moveFollowed", "			if e != nil && e.Time.UnixNano()%3 == 0 {\n				e.Time = e.Time.Add(1)\n				return events.ErrMoved\n			}\n			n, err := c.Exec(ctx, moveFollowed"}}},
	{"the event is written after the deletion's transaction", []edit{
		{userSQL, "CREATE TRIGGER users_removed AFTER DELETE ON users BEGIN", "CREATE TRIGGER users_removed AFTER DELETE ON users WHEN OLD.version < 0 BEGIN"},
		{userStore, "	return s.write(ctx, func(c *sqlite.Conn) error {\n		c.Erases()", "	err := s.remove(ctx, id, version)\n	if err != nil {\n		return err\n	}\n	return s.write(ctx, func(c *sqlite.Conn) error {\n		_, err := c.Exec(ctx, `-- name: Tell\nINSERT INTO events (subject, type, version, time, data) VALUES (?1, 'deleted', ?2, 0, json_object('version', ?2))`, id, version+1)\n		return err\n	})\n}\n\nfunc (s *Store) remove(ctx context.Context, id uuid.UUID, version int64) error {\n	return s.write(ctx, func(c *sqlite.Conn) error {\n		c.Erases()"},
	}},
	{"an order is accepted for an erased user (no tombstone)", []edit{{orderSQL, "EXISTS (SELECT 1 FROM erased_users WHERE user_id = NEW.user_id)", "0"}}},
	{"a user in the cache counts as existing for ever", []edit{{userClient, "(cfg.CacheTTL),", "(ttlcache.NoTTL),"}}},
	{"a user counts as existing while user-service is unavailable", []edit{{userClient, "		return o, c.unavailable(err)\n	}\n}\n\nfunc (c *Client) seen", "		return found, nil\n	}\n}\n\nfunc (c *Client) seen"}}},
	{"the record of a key is not written", []edit{{"pkg/idempotency/sqlitekeys/sqlitekeys.go", "	if r == nil {", "	if r != nil {\n		return nil\n	}\n	if r == nil {"}}},
	{"the record of a key is written after the order's transaction", []edit{{orderStore, "record *idempotency.Record) error {", "record *idempotency.Record) (err error) {"}, {orderStore, "	return s.Write(ctx, func(c *sqlite.Conn) error {\n		err := sqlitekeys.Add(ctx, c, record)\n		if err != nil {\n			return err\n		}\n		_, err = c.Exec", "	late := record\n	record = nil\n	defer func() {\n		if err == nil {\n			_ = s.Write(ctx, func(c *sqlite.Conn) error { return sqlitekeys.Add(ctx, c, late) })\n		}\n	}()\n	return s.Write(ctx, func(c *sqlite.Conn) error {\n		err := sqlitekeys.Add(ctx, c, record)\n		if err != nil {\n			return err\n		}\n		_, err = c.Exec"}}},
	{"the record of a key is written before the user's transaction", []edit{{userStore, "	return s.write(ctx, func(c *sqlite.Conn) error {\n		err := sqlitekeys.Add(ctx, c, record)", "	err := s.write(ctx, func(c *sqlite.Conn) error { return sqlitekeys.Add(ctx, c, record) })\n	if err != nil {\n		return err\n	}\n	record = nil\n	return s.write(ctx, func(c *sqlite.Conn) error {\n		err := sqlitekeys.Add(ctx, c, record)"}}},
	{"a rejected create keeps its key", []edit{{userAPI, "	defer claim.Release()", "	defer func() {\n		if err == nil {\n			claim.Release()\n		}\n	}()"}}},
	{"the records of a deleted user's keys stay", []edit{{userStore, "		return sqlitekeys.Erase(ctx, c, id)", "		return nil"}}},
	{"concurrent requests with one key don't wait for each other", []edit{{"pkg/idempotency/idempotency.go", "			err = ErrInFlight", "			err = nil"}, {"pkg/idempotency/sqlitekeys/sqlitekeys.go", "	if err == nil && n == 0 {", "	if false && n == 0 {"}}},
	{"the breaker counts canceled requests", []edit{{userClient, "outcomeOf(err).isFailure() }", "outcomeOf(err).isFailure() || outcomeOf(err) == canceled }"}, {userClient, "IsExcluded: func(err error) bool { return outcomeOf(err) == canceled }", "IsExcluded: func(error) bool { return false }"}}},
	{"events are in the order of their times", []edit{{"pkg/events/sqliteevents/sqliteevents.go", "ORDER BY position LIMIT ?2+0\"", "ORDER BY time LIMIT ?2+0\""}}},
	{"the feed begins with the cursor's own event", []edit{{"pkg/events/sqliteevents/sqliteevents.go", "WHERE position > CASE", "WHERE position >= CASE"}}},
	{"events are acknowledged before they take effect", []edit{{"pkg/events/follow.go", "	from, to := at, at\n", "	if len(batch) > 0 {\n		_ = f.acknowledge(ctx, batch[len(batch)-1].Cursor)\n	}\n	from, to := at, at\n"}}},
	{"a failed acknowledgement counts as sent", []edit{{"pkg/events/follow.go", "	if err == nil {\n		f.acknowledged, f.acknowledgedAt", "	if true {\n		f.acknowledged, f.acknowledgedAt"}, {"pkg/events/follow.go", " || time.Since(f.acknowledgedAt) > acknowledgeAgain", ""}}},
	{"a late acknowledgement reverts a later one (a bug we had)", []edit{{"pkg/events/follow.go", " || time.Since(f.acknowledgedAt) > acknowledgeAgain", ""}}},
	{"a long poll misses events between the read and the wait", []edit{{"pkg/events/feed.go", "min(interval, left)", "left"}}},
	{"an UPDATE ignores the version", []edit{{orderStore, "changed_by = ? WHERE id = ? AND version = ?", "changed_by = ? WHERE id = ? AND version >= 0 * ?"}}},
	{"If-Match is checked on the first try only", []edit{{userAPI, "	for { // retry if another request changed the user; each round, one request succeeds\n", "	for round := 0; ; round++ {\n"}, {userAPI, "		err = in.CheckChange(httpapi.ETag(stored.Version))\n		if err != nil {\n			return updated, err", "		err = in.CheckChange(httpapi.ETag(stored.Version))\n		if err != nil && round == 0 {\n			return updated, err"}}},
	{"a change has an event only if the status changes", []edit{{orderSQL, "CREATE TRIGGER orders_updated AFTER UPDATE ON orders BEGIN", "CREATE TRIGGER orders_updated AFTER UPDATE ON orders WHEN NEW.status IS NOT OLD.status BEGIN"}}},
	{"a failed commit counts as committed", []edit{{"pkg/database/sqlite/writer.go", "		fail(group, errors.Join(fmt.Errorf(\"commit: %w\", err), w.rollback()))", "		_ = w.rollback()"}}},
	{"half of a rejected write stays", []edit{{"pkg/database/sqlite/writer.go", "		err = w.conn.run(\"ROLLBACK TO job\")", "		err = nil"}}},
	{"an erased order stays confirmed", []edit{{orderErase, "IN ('pending', 'confirmed')", "IN ('pending')"}}},
	{"a deletion ignores the order's version", []edit{{orderStore, "DELETE FROM orders WHERE id = ? AND version = ?", "DELETE FROM orders WHERE id = ? AND version >= 0 * ?"}}},
	{"a cursor moved by another replica counts as moved by this one", []edit{{orderErase, " WHERE followed.cursor = ?2`", "`"}}},
}

var plant = flag.Duration("plant", 0, "how long to search for each planted bug; 0: only check that it can be planted")

// TestPlantedBugs plants each bug in an overlay of the source, and counts the seeds until
// it is found.
func TestPlantedBugs(t *testing.T) {
	root := filepath.Join("..", "..")
	found := regexp.MustCompile(`seed \d+, the (\d+)th, goes wrong:\n\s*(.*)`)
	notFound := regexp.MustCompile(`: (\d+) seeds from`)
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			dir := t.TempDir()
			replaced := map[string]string{}
			for i, e := range b.edits {
				file, err := filepath.Abs(filepath.Join(root, e.file))
				require.NoError(t, err)
				text, err := os.ReadFile(cmp.Or(replaced[file], file))
				require.NoError(t, err)
				require.Equal(t, 1, strings.Count(string(text), e.old), e.file)
				replaced[file] = filepath.Join(dir, fmt.Sprint(i, filepath.Ext(file)))
				require.NoError(t, os.WriteFile(replaced[file], []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600))
			}
			if *plant == 0 {
				return
			}
			overlay, err := json.Marshal(map[string]any{"Replace": replaced})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
			test := filepath.Join(dir, "test")
			out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", test, "-overlay", filepath.Join(dir, "overlay.json"), ".").CombinedOutput()
			require.NoError(t, err, string(out))
			command := exec.CommandContext(t.Context(), test, "-test.run=^TestSeeds$", "-test.v", "-test.timeout="+(*plant+time.Minute).String(), "-from=1", "-for="+plant.String())
			command.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400")
			out, _ = command.CombinedOutput()
			m := found.FindSubmatch(out)
			if m == nil {
				m = notFound.FindSubmatch(out)
				require.NotNil(t, m, string(out))
				t.Logf("| %s | not found in %s seeds | |", b.name, m[1])
				return
			}
			t.Logf("| %s | %s | %s |", b.name, m[1], m[2])
		})
	}
}
