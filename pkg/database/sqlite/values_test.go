package sqlite_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/database/sqlite"
)

// TestValuesThatMayBeNull: NULL is read as nil, and not as an empty text, 0 or 1970.
func TestValuesThatMayBeNull(t *testing.T) {
	db := open(t)
	defer func() { require.NoError(t, db.Close()) }()
	type values struct {
		text *string
		n    *int
		at   *time.Time
	}
	for _, want := range []values{{}, {new(""), new(0), new(time.UnixMicro(0).UTC())}, {new("lamp"), new(-1), new(time.UnixMicro(1).UTC())}} {
		got, err := sqlite.One(t.Context(), db, func(r sqlite.Row) (values, error) {
			return values{r.NullText(0), r.NullInt(1), r.NullTime(2)}, nil
		}, "SELECT ?, ?, ?", want.text, want.n, want.at)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
