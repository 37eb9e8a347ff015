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

func self(id uuid.UUID) uuid.UUID { return id }

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
			got := page.Cut(request, below(rows, request), self)
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

// below is what a store does with a request.
func below(rows []uuid.UUID, r page.Request) []uuid.UUID {
	var out []uuid.UUID
	for _, id := range rows {
		if slices.Compare(id[:], r.Before[:]) < 0 && len(out) < r.Fetch() {
			out = append(out, id)
		}
	}
	return out
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
		p := page.Cut(r, []uuid.UUID{r.Before, uuid.Nil}, self)
		require.Equal(t, cursor, p.Next)
	})
}
