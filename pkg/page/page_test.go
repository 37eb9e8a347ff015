package page_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
)

// TestWalkSeesEveryRowThatStays walks a set from its first page to its last
// while rows come and go: a row that was there all along is seen exactly once.
func TestWalkSeesEveryRowThatStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := make([]uuid.UUID, rapid.IntRange(0, 60).Draw(t, "rows"))
		for i := range rows {
			id, err := ids.New()
			require.NoError(t, err)
			rows[i] = id
		}
		slices.Reverse(rows)
		stays := slices.Clone(rows)
		seen := map[uuid.UUID]int{}

		cursor := ""
		for {
			request, err := page.After(cursor, rapid.IntRange(1, 7).Draw(t, "limit"))
			require.NoError(t, err)
			got, err := rowsOf(rows, nil).Collect(request)
			require.NoError(t, err)
			for _, id := range got.Items {
				seen[id]++
			}
			if got.Next == "" {
				break
			}
			cursor = got.Next
			if rapid.Bool().Draw(t, "insert") {
				id, err := ids.New()
				require.NoError(t, err)
				rows = slices.Insert(rows, 0, id)
			}
			if len(rows) > 0 && rapid.Bool().Draw(t, "delete") {
				i := rapid.IntRange(0, len(rows)-1).Draw(t, "which")
				gone := rows[i]
				rows = slices.Delete(rows, i, i+1)
				stays = slices.DeleteFunc(stays, func(id uuid.UUID) bool { return id == gone })
			}
		}
		for _, id := range stays {
			require.Equal(t, 1, seen[id])
		}
		for id, n := range seen {
			require.Equal(t, 1, n, "%s was repeated", id)
		}
	})
}

func self(id uuid.UUID) uuid.UUID { return id }

// rowsOf are rows in memory, newest first.
func rowsOf(rows []uuid.UUID, size func(uuid.UUID) int) page.Rows[uuid.UUID, uuid.UUID] {
	return page.Rows[uuid.UUID, uuid.UUID]{
		Below: func(before uuid.UUID, n int) ([]uuid.UUID, error) {
			var out []uuid.UUID
			for _, id := range rows {
				if slices.Compare(id[:], before[:]) < 0 && len(out) < n {
					out = append(out, id)
				}
			}
			return out, nil
		},
		ID: self, Size: size, Convert: func(id uuid.UUID) (uuid.UUID, error) { return id, nil },
	}
}

// TestAPageHoldsAboutSoManyBytes: walking sees every row once, in order, whatever the
// rows weigh; no page holds more than the bound unless it is one row, and what is read
// for a page isn't many times of it.
func TestAPageHoldsAboutSoManyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		largest := rapid.SampledFrom([]int{100, 10_000, 130_000, 2 * page.MaxBytes}).Draw(t, "largest")
		weights := map[uuid.UUID]int{}
		var rows []uuid.UUID
		for range rapid.IntRange(0, 250).Draw(t, "rows") {
			id, err := ids.New()
			require.NoError(t, err)
			rows = append(rows, id)
			weights[id] = rapid.OneOf(rapid.IntRange(1, 300), rapid.IntRange(1, largest), rapid.Just(largest)).Draw(t, "weight")
		}
		slices.Reverse(rows)
		var seen []uuid.UUID
		for cursor, more := "", true; more; more = cursor != "" {
			request, err := page.After(cursor, rapid.IntRange(1, page.MaxLimit).Draw(t, "limit"))
			require.NoError(t, err)
			read := 0
			source := rowsOf(rows, func(id uuid.UUID) int { return weights[id] })
			below := source.Below
			source.Below = func(before uuid.UUID, n int) ([]uuid.UUID, error) {
				got, err := below(before, n)
				for _, id := range got {
					read += weights[id]
				}
				return got, err
			}
			got, err := source.Collect(request)
			require.NoError(t, err)
			bytes := 0
			for _, id := range got.Items {
				bytes += weights[id]
			}
			require.LessOrEqual(t, len(got.Items), request.Limit)
			require.True(t, bytes <= page.MaxBytes || len(got.Items) == 1, "%d bytes", bytes)
			require.LessOrEqual(t, read, page.MaxBytes+(page.DefaultLimit+1)*largest)
			seen = append(seen, got.Items...)
			cursor = got.Next
		}
		require.Equal(t, rows, seen)
	})
}

func FuzzAfter(f *testing.F) {
	for _, seed := range []string{"", "x", "AQ", "AQAAAAAAAAAAAAAAAAAAAAA", "AgAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAAB", "AQAAAAAAAAAAAAAAAAAAAAA=", "AQAAAAAAAAAA\nAAAAAAAAAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		r, err := page.After(cursor, 1)
		if err != nil || cursor == "" {
			return
		}
		// A cursor that is taken is the one that was given: there is no
		// second way to write it.
		require.Equal(t, cursor, page.Cursor(r.Before))
	})
}
