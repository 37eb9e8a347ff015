package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/database/sqlite"
)

const secret = "Zitronengirlitz"

// isIn reports whether the secret is in a file of a folder.
func isIn(t *testing.T, folder string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil && bytes.Contains(content, []byte(secret)) {
			return true
		}
	}
	return false
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

// TestWhatIsErasedIsInNoFile, soon after, though the pages that it was in, as they were
// before, are in the log.
func TestWhatIsErasedIsInNoFile(t *testing.T) {
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

// TestWhatWasErasedBeforeACrashIsInNoFile: the process was killed when it had committed,
// and before it emptied the log. Who opens the file again does that.
func TestWhatWasErasedBeforeACrashIsInNoFile(t *testing.T) {
	folder, left := t.TempDir(), t.TempDir()
	db, err := sqlite.Open(filepath.Join(folder, "test.db"), noMigrations)
	require.NoError(t, err)
	run(t, db, false, "CREATE TABLE t (s TEXT) STRICT")
	run(t, db, false, "INSERT INTO t VALUES (?)", secret)
	run(t, db, false, "DELETE FROM t")
	for _, name := range []string{"test.db", "test.db-wal"} { // what a kill leaves
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
