package page_test

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/page"
)

// TestWalkSeesEveryRowThatStays walks a list from its first to its last page while rows
// are inserted and deleted. Each row that was there all the time is seen exactly once.
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
			request, err := page.After(cursor, page.First(rapid.IntRange(1, 7).Draw(t, "limit")))
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

// rowsOf returns rows in memory, newest first.
func rowsOf(rows []uuid.UUID, size func(uuid.UUID) int) page.Rows[uuid.UUID] {
	return page.Rows[uuid.UUID]{
		Below: func(r page.Request) ([]uuid.UUID, error) {
			var out []uuid.UUID
			for _, id := range rows {
				if r.Includes(time.Time{}, id) && len(out) < r.Limit {
					out = append(out, id)
				}
			}
			return out, nil
		},
		ID: self, Size: size,
	}
}

// TestAPageIsLimitedInBytes: walking a list sees each row once, in order, whatever
// their sizes. No page exceeds MaxBytes unless it is one row, and not much more than that
// is read for a page.
func TestAPageIsLimitedInBytes(t *testing.T) {
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
			request, err := page.After(cursor, page.First(rapid.IntRange(1, page.MaxLimit).Draw(t, "limit")))
			require.NoError(t, err)
			read := 0
			source := rowsOf(rows, func(id uuid.UUID) int { return weights[id] })
			below := source.Below
			source.Below = func(r page.Request) ([]uuid.UUID, error) {
				got, err := below(r)
				for _, id := range got {
					read += weights[id]
				}
				return got, err
			}
			got, err := source.Collect(request)
			require.NoError(t, err)
			size := 0
			for _, id := range got.Items {
				size += weights[id]
			}
			require.LessOrEqual(t, len(got.Items), request.Limit)
			require.True(t, size <= page.MaxBytes || len(got.Items) == 1, "%d bytes", size)
			require.LessOrEqual(t, read, page.MaxBytes+(page.DefaultLimit+1)*largest)
			seen = append(seen, got.Items...)
			cursor = got.Next
		}
		require.Equal(t, rows, seen)
	})
}

// TestAListByTimeIsWalkedOnce: with random ids and equal times, each row is seen once,
// newest first.
func TestAListByTimeIsWalkedOnce(t *testing.T) {
	type row struct {
		at time.Time
		id uuid.UUID
	}
	rapid.Check(t, func(t *rapid.T) {
		start := time.Date(2026, 1, 2, 3, 4, 5, 678_901_000, time.UTC)
		rows := make([]row, rapid.IntRange(0, 30).Draw(t, "rows"))
		for i := range rows {
			id := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")
			rows[i] = row{start.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "at")) * time.Microsecond), uuid.UUID(id)}
		}
		slices.SortFunc(rows, func(a, b row) int { return cmp.Or(b.at.Compare(a.at), bytes.Compare(b.id[:], a.id[:])) })
		rows = slices.Compact(rows)
		source := page.Rows[row]{
			Below: func(r page.Request) ([]row, error) {
				var out []row
				for _, one := range rows {
					if r.Includes(one.at, one.id) && len(out) < r.Limit {
						out = append(out, one)
					}
				}
				return out, nil
			},
			ID: func(r row) uuid.UUID { return r.id }, Time: func(r row) time.Time { return r.at },
		}
		seen := []row{}
		for cursor, more := "", true; more; more = cursor != "" {
			request, err := page.After(cursor, page.FirstByTime(rapid.IntRange(1, 7).Draw(t, "limit")))
			require.NoError(t, err)
			got, err := source.Collect(request)
			require.NoError(t, err)
			seen = append(seen, got.Items...)
			cursor = got.Next
		}
		require.Equal(t, rows, seen)
	})
}

func TestACursorIsOfOneKindOfList(t *testing.T) {
	id := uuid.New()
	byID := page.Request{Before: id}.Cursor()
	byTime := page.Request{Before: id, At: time.Now()}.Cursor()
	_, err := page.After(byID, page.FirstByTime(1))
	require.ErrorIs(t, err, page.ErrOtherList)
	_, err = page.After(byTime, page.First(1))
	require.ErrorIs(t, err, page.ErrOtherList)
	require.ErrorContains(t, err, "to another list", "orders are never sorted by time, users may be")
	for _, at := range []time.Time{time.UnixMicro(math.MinInt64), time.UnixMicro(math.MaxInt64)} {
		_, err := page.After(page.Request{Before: id, At: at}.Cursor(), page.FirstByTime(1))
		require.ErrorContains(t, err, "is not a cursor", "no database can store such a time")
	}
}

func TestAPeriodHasThePrecisionOfRows(t *testing.T) {
	row := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for shift := -2 * time.Microsecond; shift <= 2*time.Microsecond; shift += 100 {
		bound := row.Add(shift)
		p := page.Period{After: &bound}
		after, before := p.Bounds()
		require.Equal(t, p.Includes(row), row.After(after) && row.Before(before), shift)
		p = page.Period{Before: &bound}
		after, before = p.Bounds()
		require.Equal(t, p.Includes(row), row.After(after) && row.Before(before), shift)
	}
}

func FuzzAfter(f *testing.F) {
	for _, seed := range []string{"", "x", "AQ", "AQAAAAAAAAAAAAAAAAAAAAA", "AgAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAAB", "AQAAAAAAAAAAAAAAAAAAAAA=", "AQAAAAAAAAAA\nAAAAAAAAAAA", "AgAGNwAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		for _, first := range []page.Request{page.First(1), page.FirstByTime(1)} {
			r, err := page.After(cursor, first)
			if err != nil || cursor == "" {
				continue
			}
			// A cursor has only one spelling.
			require.Equal(t, cursor, r.Cursor())
		}
	})
}
