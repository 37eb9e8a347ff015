package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

type userList struct {
	Items      []struct{ ID string }
	NextCursor *string `json:"next_cursor"`
}

func (l userList) ids() []string {
	ids := make([]string, len(l.Items))
	for i, item := range l.Items {
		ids[i] = item.ID
	}
	return ids
}

func TestAListIsReadPageByPage(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var want []string
		for i := range 25 {
			want = append(want, s.Do(http.MethodPost, users, person(fmt.Sprintf("%d@example.com", i))).ID())
		}
		slices.Reverse(want)

		var first userList
		answer := s.Do(http.MethodGet, users, nil).Want(http.StatusOK)
		answer.Decode(&first)
		require.Equal(t, want[:20], first.ids(), "20 unless asked, newest first")
		require.NotNil(t, first.NextCursor)

		// The Link header leads through the pages.
		next := regexp.MustCompile(`^<(/api/v1/users\?.*)>; rel="next"$`)
		var seen []string
		path := users + "?limit=10"
		for path != "" {
			answer := s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
			var page userList
			answer.Decode(&page)
			seen = append(seen, page.ids()...)
			path = ""
			if page.NextCursor != nil {
				link := next.FindStringSubmatch(answer.Header.Get("Link"))
				require.NotNil(t, link)
				path = link[1]
				require.Contains(t, path, "cursor="+url.QueryEscape(*page.NextCursor))
				// Rows that come and go in between neither repeat nor hide one.
				s.Do(http.MethodPost, users, person(fmt.Sprintf("new%d@example.com", len(seen))))
				s.Do(http.MethodDelete, users+"/"+seen[len(seen)-1], nil).Want(http.StatusNoContent)
			} else {
				require.Empty(t, answer.Header.Get("Link"))
				require.Contains(t, string(answer.Body), `"next_cursor":null`)
			}
		}
		require.Equal(t, want, seen)
	})
}

func TestAnEmptyListIsAList(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		answer := s.Do(http.MethodGet, users, nil).Want(http.StatusOK)
		require.JSONEq(t, `{"items":[],"next_cursor":null}`, string(answer.Body))
	})
}

func TestAListRefusesWrongParameters(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for query, location := range map[string]string{
			"limit=0": "query.limit", "limit=101": "query.limit", "limit=x": "query.limit", "limit=-1": "query.limit",
			"cursor=x": "query.cursor", "cursor=AQAAAAAAAAAAAAAAAAAAAAB": "query.cursor", "cursor=%00": "query.cursor",
			"offset=3": "query.offset",
		} {
			answer := s.Do(http.MethodGet, users+"?"+query, nil).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{location}, answer.Locations(), query)
		}
	})
}
