package transfer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/example/microservices/pkg/database/postgres"
)

const (
	// batch is how many rows are copied in one transaction.
	batch = 5000
	// progress is how many batches are copied between two log lines.
	progress = 20
)

// Copy copies the rows of the SQLite file at source to PostgreSQL. No other process may
// have the file open. Copy migrates the target first, and at the end compares the number
// of rows and the SHA-256 of their content.
//
// Rows are copied in key order, so a killed copy leaves a prefix of the source. The next
// copy continues after it. A target with any other rows is rejected.
func (s Store) Copy(ctx context.Context, source string, target *postgres.DB, log *slog.Logger) (err error) {
	from, err := hold(ctx, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	err = s.copyFrom(ctx, from, target, log)
	if err != nil {
		return fmt.Errorf("copy %s: %w", source, postgres.Wrap(err))
	}
	return nil
}

func (s Store) copyFrom(ctx context.Context, from *sql.DB, target *postgres.DB, log *slog.Logger) error {
	rows, err := s.check(ctx, from)
	if err != nil {
		return err
	}
	err = target.Migrate(ctx, log)
	if err != nil {
		return err
	}
	var tables []*table
	ended := "" // the first incomplete table
	for _, name := range s.Tables {
		t, err := describe(ctx, from, target, s.Postgres.Schema, name)
		if err != nil {
			return err
		}
		t.rows = rows[name]
		tables = append(tables, t)
		switch {
		case t.there > t.rows, t.there > 0 && ended != "":
			return errNotEmpty(t)
		case t.there < t.rows:
			ended = cmp.Or(ended, name)
		}
	}
	for _, t := range tables {
		err := t.copy(ctx, from, target, log)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name[1], err)
		}
	}
	return nil
}

func errNotEmpty(t *table) error {
	return fmt.Errorf("the target has %d rows in %s that are not the first rows of the source: it must be empty, or the target of an earlier copy of this source", t.there, t.name.Sanitize())
}

// table is a table to copy.
type table struct {
	name    pgx.Identifier
	columns []column
	names   []string
	key     []column
	// rows is the number of rows in the source, and there the number in the target at the
	// start.
	rows, there int64
}

// describe returns the columns of a table. It returns an error if they differ between the
// databases.
func describe(ctx context.Context, from *sql.DB, target *postgres.DB, schema, name string) (*table, error) {
	t := &table{name: pgx.Identifier{schema, name}}
	// Each column with its position in the primary key, or -1.
	found, err := target.Query(ctx, `SELECT a.attname, y.typname, a.atttypmod, coalesce(array_position(i.indkey::int2[], a.attnum), -1)
		FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
		WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum`, t.name.Sanitize())
	if err != nil {
		return nil, err
	}
	t.columns, err = pgx.CollectRows(found, pgx.RowToStructByPos[column])
	if err != nil {
		return nil, err
	}
	for _, c := range t.columns {
		t.names = append(t.names, c.Name)
		if _, known := kinds[c.Kind]; !known {
			return nil, fmt.Errorf("%s.%s is of the type %s, which can't be copied", name, c.Name, c.Kind)
		}
		if c.Key >= 0 {
			t.key = append(t.key, c)
		}
	}
	slices.SortFunc(t.key, func(a, b column) int { return cmp.Compare(a.Key, b.Key) })
	there, err := names(ctx, from, inTable, name)
	if err != nil {
		return nil, err
	}
	if wanted := slices.Sorted(slices.Values(t.names)); !slices.Equal(there, wanted) {
		return nil, fmt.Errorf("%s has the columns %s in the source and %s in the target: bring the source's schema up to date with the migrate subcommand", name, strings.Join(there, ", "), strings.Join(wanted, ", "))
	}
	return t, target.QueryRow(ctx, "SELECT count(*) FROM "+t.name.Sanitize()).Scan(&t.there)
}

// copy copies the rows that the target lacks, and compares the tables.
func (t *table) copy(ctx context.Context, from *sql.DB, target *postgres.DB, log *slog.Logger) error {
	began := time.Now()
	source, err := t.read(ctx, from)
	if err != nil {
		return err
	}
	defer source.rows.Close()
	for range t.there {
		if !source.Next() {
			break
		}
	}
	if t.there > 0 && source.err == nil {
		sum, _, err := t.sum(ctx, target)
		if err != nil {
			return err
		}
		if !bytes.Equal(sum, source.sum.Sum(nil)) {
			return errNotEmpty(t)
		}
		log.InfoContext(ctx, "continuing an earlier copy", slog.String("table", t.name[1]), slog.Int64("rows", t.there))
	}
	for n := 1; source.err == nil && source.read < t.rows; n++ {
		source.left = batch
		err := pgx.BeginFunc(ctx, target, func(tx pgx.Tx) error {
			// Triggers write no events for these rows: the events are copied as well.
			_, err := tx.Exec(ctx, "SET LOCAL transfer.copying = 'on'")
			if err == nil {
				_, err = tx.CopyFrom(ctx, t.name, t.names, source)
			}
			return err
		})
		if err != nil {
			return err
		}
		if n%progress == 0 {
			log.InfoContext(ctx, "copying", slog.String("table", t.name[1]), slog.Int64("rows", source.read), slog.Int64("of", t.rows))
		}
	}
	if source.err != nil {
		return source.err
	}
	sum, n, err := t.sum(ctx, target)
	if err != nil {
		return err
	}
	wanted := source.sum.Sum(nil)
	if n != t.rows || !bytes.Equal(sum, wanted) {
		return fmt.Errorf("the target has %d rows with the SHA-256 %x, but the source has %d with %x: did another process write to one of them?", n, sum, t.rows, wanted)
	}
	_, err = target.Exec(ctx, "ANALYZE "+t.name.Sanitize())
	log.InfoContext(ctx, "copied and compared", slog.String("table", t.name[1]), slog.Int64("rows", n), slog.String("sha256", hex.EncodeToString(sum)), slog.Int64("duration_us", time.Since(began).Microseconds()))
	return err
}

// sum returns the SHA-256 of the target's rows in key order, and their number.
func (t *table) sum(ctx context.Context, target *postgres.DB) (sum []byte, n int64, err error) {
	var values, order []string
	for _, c := range t.columns {
		values = append(values, c.stored())
	}
	for _, c := range t.key {
		if c.Kind == "text" {
			order = append(order, quote(c.Name)+` COLLATE "C"`) // SQLite's order
		} else {
			order = append(order, quote(c.Name))
		}
	}
	rows, err := target.Query(ctx, "SELECT "+strings.Join(values, ", ")+" FROM "+t.name.Sanitize()+" ORDER BY "+strings.Join(order, ", "))
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	h := sha256.New()
	for ; rows.Next(); n++ {
		row, err := rows.Values()
		if err != nil {
			return nil, 0, err
		}
		err = t.add(h, row)
		if err != nil {
			return nil, 0, err
		}
	}
	return h.Sum(nil), n, rows.Err()
}

// add hashes a row in SQLite's representation: type, length and bytes of each value.
func (t *table) add(h hash.Hash, row []any) error {
	for i, v := range row {
		b, kind := []byte(nil), byte('0')
		switch v := v.(type) {
		case nil:
		case int64:
			b, kind = binary.BigEndian.AppendUint64(nil, uint64(v)), 'i' //nolint:gosec // the same bits
		case string:
			b, kind = []byte(v), 't'
		case []byte:
			b, kind = v, 'b'
		default:
			return fmt.Errorf("%s has a %T", t.columns[i].Name, v)
		}
		if t.columns[i].Kind == "jsonb" && v != nil {
			var err error
			b, err = canonical(b)
			if err != nil {
				return fmt.Errorf("%s: %w", t.columns[i].Name, err)
			}
		}
		h.Write(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(b)))) //nolint:gosec // SQLite's limit is below
		h.Write(b)
	}
	return nil
}
