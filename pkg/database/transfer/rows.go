package transfer

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// column is a column of PostgreSQL.
type column struct {
	Name, Kind string
	Modifier   int32 // precision and scale of a numeric
	Key        int   // position in the primary key, or -1
}

// scale returns the number of decimals of a numeric.
func (c column) scale() int32 {
	const header = 4 // size of PostgreSQL's varlena header
	return (c.Modifier - header) & 0xffff
}

// kinds are the types that can be copied. stored is the SQL expression for SQLite's
// representation of a column (%s), and value converts SQLite's value for PostgreSQL.
var kinds = map[string]struct {
	stored string
	value  func(c column, v any) (any, error)
}{
	"text":  {"%s", as(func(_ column, s string) (any, error) { return s, nil })},
	"bytea": {"%s", as(func(_ column, b []byte) (any, error) { return b, nil })},
	"int2":  {"%s::bigint", whole},
	"int4":  {"%s::bigint", whole},
	"int8":  {"%s::bigint", whole},
	"uuid": {"%s::text", as(func(_ column, s string) (any, error) {
		id, err := uuid.Parse(s)
		return pgtype.UUID{Bytes: id, Valid: true}, err
	})},
	"jsonb": {"%s::text", as(func(_ column, s string) (any, error) { return json.RawMessage(s), nil })},
	// Stored in units of the last decimal.
	"numeric": {"", as(func(c column, n int64) (any, error) {
		return pgtype.Numeric{Int: big.NewInt(n), Exp: -c.scale(), Valid: true}, nil
	})},
	// Stored in microseconds since 1970.
	"timestamptz": {"(extract(epoch FROM %s) * 1000000)::bigint", as(func(_ column, n int64) (any, error) { return time.UnixMicro(n), nil })},
}

var whole = as(func(_ column, n int64) (any, error) { return n, nil })

// as returns a conversion that rejects values of other types than T.
func as[T any](convert func(column, T) (any, error)) func(column, any) (any, error) {
	return func(c column, v any) (any, error) {
		t, ok := v.(T)
		if !ok {
			return nil, fmt.Errorf("a %T", v)
		}
		return convert(c, t)
	}
}

// stored returns the SQL expression for SQLite's representation of the column.
func (c column) stored() string {
	if c.Kind == "numeric" {
		return fmt.Sprintf("(%s * 1%s)::bigint", quote(c.Name), strings.Repeat("0", int(c.scale())))
	}
	return fmt.Sprintf(kinds[c.Kind].stored, quote(c.Name))
}

// canonical returns JSON in a canonical form, because jsonb changes the order of members
// and white space. Numbers stay as written.
func canonical(b []byte) ([]byte, error) {
	v := jsontext.Value(b)
	err := v.Format(jsontext.ReorderRawObjects(true), jsontext.PreserveRawStrings(false))
	return v, err
}

// reader reads a table of the source in key order, and hashes what it reads. It is a
// pgx.CopyFromSource of the next left rows.
type reader struct {
	table      *table
	rows       *sql.Rows
	sum        hash.Hash
	row        []any
	into       []any
	read, left int64
	err        error
}

func (t *table) read(ctx context.Context, from *sql.DB) (*reader, error) {
	quoted := func(columns []column) string {
		var all []string
		for _, c := range columns {
			all = append(all, quote(c.Name))
		}
		return strings.Join(all, ", ")
	}
	rows, err := from.QueryContext(ctx, "SELECT "+quoted(t.columns)+" FROM "+quote(t.name[1])+" ORDER BY "+quoted(t.key)) //nolint:gosec,rowserrcheck // names of the schema, quoted; Next asks
	if err != nil {
		return nil, err
	}
	r := &reader{table: t, rows: rows, sum: sha256.New(), row: make([]any, len(t.names)), left: t.there}
	for i := range r.row {
		r.into = append(r.into, &r.row[i])
	}
	return r, nil
}

// Next implements pgx.CopyFromSource.
func (r *reader) Next() bool {
	if r.err != nil || r.left == 0 || !r.rows.Next() {
		if r.err == nil {
			r.err = r.rows.Err()
		}
		return false
	}
	r.left--
	r.read++
	r.err = r.rows.Scan(r.into...)
	if r.err == nil {
		r.err = r.table.add(r.sum, r.row)
	}
	return r.err == nil
}

// Values implements pgx.CopyFromSource.
func (r *reader) Values() ([]any, error) {
	values := make([]any, len(r.row))
	for i, v := range r.row {
		if v == nil {
			continue
		}
		c := r.table.columns[i]
		var err error
		values[i], err = kinds[c.Kind].value(c, v)
		if err != nil {
			return nil, fmt.Errorf("%s has a value that can't be converted to %s: %w", c.Name, c.Kind, err)
		}
	}
	return values, nil
}

// Err implements pgx.CopyFromSource.
func (r *reader) Err() error { return r.err }
