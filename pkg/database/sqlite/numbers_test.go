package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/database/sqlite"
)

// TestACopiedFileAssignsOtherNumbers: two copies of one file assign different numbers, in
// each table with AUTOINCREMENT, also in one that had no row. Otherwise a reader that has
// seen the rows of one copy would take those of the other for known.
func TestACopiedFileAssignsOtherNumbers(t *testing.T) {
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	numbers := func(name string) (found []int64) {
		db, err := sqlite.Open(file(name), noMigrations)
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		for _, table := range []string{"used", "used", "empty"} {
			require.NoError(t, db.Write(t.Context(), func(c *sqlite.Conn) error {
				return c.Query(t.Context(), "INSERT INTO "+table+" (x) VALUES (1) RETURNING id", func(r sqlite.Row) error { found = append(found, r.Int(0)); return nil })
			}))
		}
		require.Equal(t, found[0]+1, found[1], "the numbers are skipped once")
		return found
	}
	db, err := sqlite.Open(file("a"), noMigrations)
	require.NoError(t, err)
	for _, statement := range []string{
		"CREATE TABLE used (id INTEGER PRIMARY KEY AUTOINCREMENT, x INTEGER) STRICT",
		"CREATE TABLE empty (id INTEGER PRIMARY KEY AUTOINCREMENT, x INTEGER) STRICT",
		"INSERT INTO used (x) VALUES (1)",
	} {
		run(t, db, false, statement)
	}
	require.NoError(t, db.Close())
	content, err := os.ReadFile(file("a"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file("b"), content, 0o600))
	a, b := numbers("a"), numbers("b")
	for i := range a {
		require.NotEqual(t, a[i], b[i])
		require.Positive(t, a[i])
	}
}
