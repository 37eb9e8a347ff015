package sqlite_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/database/sqlite"
)

const secret = "Zitronengirlitz"

// TestDataMovedBeforeItsErasureIsInNoFile: page splits move rows while thousands are
// inserted. After a third of them is erased, no copy is left where they were before.
func TestDataMovedBeforeItsErasureIsInNoFile(t *testing.T) {
	for name, newID := range map[string]func() uuid.UUID{"ids in order": func() uuid.UUID { return uuid.Must(uuid.NewV7()) }, "ids at random": uuid.New} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			db, err := sqlite.Open(filepath.Join(folder, "test.db"), noMigrations)
			require.NoError(t, err)
			run(t, db, false, "CREATE TABLE t (id TEXT PRIMARY KEY, s TEXT, size INTEGER) STRICT, WITHOUT ROWID")
			run(t, db, false, "CREATE INDEX ts ON t (s)")
			var ids []uuid.UUID
			for range 30 {
				require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
					for range 100 {
						ids = append(ids, newID())
						n := len(ids) - 1
						_, err := c.Exec(t.Context(), "INSERT INTO t VALUES (?, ?, 1)", ids[n], fmt.Sprintf("%x %s %d.%s", uuid.New(), secret, n, strings.Repeat("x", n%100)))
						if err != nil {
							return err
						}
					}
					return nil
				}))
			}
			for i := 0; i < len(ids); i += 3 {
				run(t, db, true, []string{"DELETE FROM t WHERE id = ?", "UPDATE t SET s = '-' WHERE id = ?"}[i%2], ids[i])
			}
			left := func() (n int) {
				content := written(t, folder)
				for i := 0; i < len(ids); i += 3 {
					if bytes.Contains(content, fmt.Appendf(nil, "%s %d.", secret, i)) {
						n++
					}
				}
				return n
			}
			require.Eventually(t, func() bool { return left() == 0 }, time.Minute, 50*time.Millisecond)
			require.NoError(t, db.Read(t.Context(), func(c *sqlite.Conn) error {
				return c.Query(t.Context(), "PRAGMA integrity_check", func(r sqlite.Row) error {
					require.Equal(t, "ok", r.Text(0))
					return nil
				})
			}))
			require.Equal(t, 2500, rows(t, db))
			require.NoError(t, db.Close())
		})
	}
}

// written returns the content of all files in a folder.
func written(t *testing.T, folder string) (all []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	for _, file := range files {
		content, _ := os.ReadFile(file) // it may have been removed
		all = append(all, content...)
	}
	return all
}

// isIn reports whether the secret is in a file of a folder.
func isIn(t *testing.T, folder string) bool {
	t.Helper()
	return bytes.Contains(written(t, folder), []byte(secret))
}

func run(t *testing.T, db *sqlite.DB, erases bool, statement string, values ...any) {
	t.Helper()
	require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
		if erases {
			c.Erases()
		}
		_, err := c.Exec(t.Context(), statement, values...)
		return err
	}))
}

func nowhere(t *testing.T, folder string) {
	t.Helper()
	require.Eventually(t, func() bool { return !isIn(t, folder) }, 20*time.Second, 5*time.Millisecond)
}

// TestErasedDataIsInNoFile: the WAL had older copies of its pages.
func TestErasedDataIsInNoFile(t *testing.T) {
	folder := t.TempDir()
	db, err := sqlite.Open(filepath.Join(folder, "test.db"), noMigrations)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	run(t, db, false, "CREATE TABLE t (s TEXT) STRICT")
	run(t, db, false, "INSERT INTO t VALUES (?)", secret)
	require.True(t, isIn(t, folder))
	run(t, db, true, "DELETE FROM t")
	nowhere(t, folder)
}

// TestDataErasedBeforeACrashIsInNoFile: the process was killed after the commit,
// before it truncated the WAL. The next Open does that.
func TestDataErasedBeforeACrashIsInNoFile(t *testing.T) {
	folder, left := t.TempDir(), t.TempDir()
	db, err := sqlite.Open(filepath.Join(folder, "test.db"), noMigrations)
	require.NoError(t, err)
	run(t, db, false, "CREATE TABLE t (s TEXT) STRICT")
	run(t, db, false, "INSERT INTO t VALUES (?)", secret)
	run(t, db, false, "DELETE FROM t")
	for _, name := range []string{"test.db", "test.db-wal"} { // what a crash leaves
		content, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(left, name), content, 0o600))
	}
	require.NoError(t, db.Close())
	require.True(t, isIn(t, left))

	db, err = sqlite.Open(filepath.Join(left, "test.db"), noMigrations)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	nowhere(t, left)
	_, err = sqlite.One(t.Context(), db, func(r sqlite.Row) (int64, error) { return r.Int(0), nil }, "SELECT count(*) FROM t")
	require.NoError(t, err)
}

// TestScrubbingIsLimited: it takes a tenth of the time, after the first second.
func TestScrubbingIsLimited(t *testing.T) {
	const in = 10 * time.Minute
	for _, step := range []time.Duration{10 * time.Microsecond, 5 * time.Millisecond, 3 * time.Second} {
		spent := sqlite.Scrubbed(step, in)
		require.LessOrEqual(t, spent, in/10+time.Second+2*step, step)
	}
	require.Greater(t, sqlite.Scrubbed(5*time.Millisecond, in), in/12, "it goes on")
	require.Greater(t, sqlite.Scrubbed(5*time.Millisecond, 1500*time.Millisecond), 900*time.Millisecond, "a small file is done at once")
}

// TestScrubbingWaitsForItsTime: each step is charged, also the last one of a file. Without
// saved time no page is scrubbed beside a write.
func TestScrubbingWaitsForItsTime(t *testing.T) {
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "test.db"), noMigrations)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	run(t, db, false, "CREATE TABLE t (s TEXT) STRICT")
	var at int64
	var left time.Duration
	write := func(do func()) {
		require.NoError(t, db.Write(t.Context(), func(*sqlite.Conn) error { do(); return nil }))
	}
	for _, pages := range []int64{0, 1000} {
		write(func() { at, left = db.Scrub(-time.Hour, pages) })
		require.Less(t, left, -time.Hour, "%d pages", pages)
	}
	require.Zero(t, at)
	write(func() { at, _ = db.Scrub(-time.Hour, 0) })
	require.Positive(t, at)
	for range 20 {
		write(func() { at = db.Scrubbing() })
		require.Positive(t, at)
	}
	write(func() { db.Scrub(time.Second, 0) })
	require.Eventually(t, func() bool { write(func() { at = db.Scrubbing() }); return at == 0 }, time.Minute, 5*time.Millisecond)
}
