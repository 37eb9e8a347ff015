package sqlite

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// maxSkipped limits how many numbers are skipped: enough that two starts hardly skip as many,
// and few enough for a million starts.
const maxSkipped = 1 << 40

// toSkip returns a random number for skipNumbers. Its source is that of UUIDs, which the
// simulation can repeat.
func toSkip() int64 {
	id := uuid.New()
	return 1 + int64(binary.BigEndian.Uint64(id[8:])%maxSkipped)
}

// skipNumbers skips n numbers of AUTOINCREMENT in all tables, also in those that never had a
// row. The writer calls it in its first transaction. Without it, a file that is older than
// its readers, because it was restored or copied back, would assign numbers that they have
// seen with other rows.
func skipNumbers(c *Conn, n int64) error {
	exists := false
	err := c.query("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'", func(Row) error { exists = true; return nil }, nil)
	if err != nil || !exists {
		return err
	}
	err = c.run(`INSERT INTO sqlite_sequence (name, seq)
SELECT name, 0 FROM sqlite_master WHERE type = 'table' AND sql LIKE '% AUTOINCREMENT%' AND name NOT IN (SELECT name FROM sqlite_sequence)`)
	if err != nil {
		return err
	}
	return c.query("UPDATE sqlite_sequence SET seq = seq + ?", func(Row) error { return nil }, []any{n})
}
