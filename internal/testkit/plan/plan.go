// Package plan looks at how databases answer the queries of a store.
package plan

import (
	"database/sql"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	_ "modernc.org/sqlite" // the driver
)

// Query returns a query as sqlc has written it for a store, to a test in the store's
// folder.
func Query(t *testing.T, name string) string {
	t.Helper()
	code, err := os.ReadFile("db/queries.sql.go")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)= `-- name: " + name + " :[a-z]+\n(.*?)`").FindSubmatch(code)
	require.NotNil(t, found, name)
	return string(found[1])
}

// RequireIndex requires a plan that reads a page straight from its place in an index, and
// no row beyond its bounds.
func RequireIndex(t *testing.T, plan, uses string) {
	t.Helper()
	require.Regexp(t, uses, plan)
	require.NotRegexp(t, `Sort|Seq Scan|Bitmap|TEMP B-TREE|SCAN `, plan)
}

// Postgres returns the plans of a query: for its arguments, and for whatever arguments.
func Postgres(t *testing.T, conn *pgx.Conn, query string, args ...any) (custom, generic string) {
	t.Helper()
	custom = rows(t, conn, "EXPLAIN "+query, args...)
	_, err := conn.Exec(t.Context(), "SET plan_cache_mode = force_generic_plan; PREPARE any_arguments AS "+query)
	require.NoError(t, err)
	literals := make([]string, len(args))
	for i, arg := range args {
		literals[i] = fmt.Sprintf("'%v'", arg)
		if at, is := arg.(time.Time); is {
			literals[i] = at.Format("'2006-01-02 15:04:05Z'")
		}
	}
	generic = rows(t, conn, "EXPLAIN EXECUTE any_arguments ("+strings.Join(literals, ", ")+")")
	_, err = conn.Exec(t.Context(), "DEALLOCATE any_arguments")
	require.NoError(t, err)
	return custom, generic
}

func rows(t *testing.T, conn *pgx.Conn, query string, args ...any) string {
	t.Helper()
	found, err := conn.Query(t.Context(), query, args...)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

// SQLite returns the plan of a query on a file.
func SQLite(t *testing.T, file, query string, args ...any) string {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	found, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	require.NoError(t, err)
	defer func() { require.NoError(t, found.Close()) }()
	var lines []string
	for found.Next() {
		var id, parent, unused int
		var line string
		require.NoError(t, found.Scan(&id, &parent, &unused, &line))
		lines = append(lines, line)
	}
	require.NoError(t, found.Err())
	return strings.Join(lines, "\n")
}
