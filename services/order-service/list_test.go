package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/test/process"
)

// walk reads a list to its end by its Link headers, and returns the ids.
func (s *server) walk(t *testing.T, path string) []string {
	link := regexp.MustCompile(`^<(/api/v1/orders.*)>; rel="next"$`)
	ids := []string{}
	for path != "" {
		answer := s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
		var page struct {
			Items      []struct{ ID string }
			NextCursor *string `json:"next_cursor"`
		}
		answer.Decode(&page)
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		path = ""
		if page.NextCursor != nil {
			next := link.FindStringSubmatch(answer.Header.Get("Link"))
			require.NotNil(t, next)
			path = next[1]
		}
	}
	return ids
}

func TestListsAndTheirFilters(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		users, err := userService()
		require.NoError(t, err)
		people := []string{s.user, process.CreateUser(t, users)}
		want := map[string][]string{}
		for i := range 14 {
			user := people[i%2]
			id := s.Do(http.MethodPost, orders, s.order(map[string]any{"user_id": user})).Want(http.StatusCreated).ID()
			status := "pending"
			if i%3 == 0 {
				status = "confirmed"
				s.Do(http.MethodPatch, orders+"/"+id, map[string]any{"status": status}).Want(http.StatusOK)
			}
			for _, filter := range []url.Values{{}, {"user_id": {user}}, {"status": {status}}, {"user_id": {user}, "status": {status}}} {
				want[filter.Encode()] = slices.Insert(want[filter.Encode()], 0, id)
			}
		}
		for filter, ids := range want {
			require.Equal(t, ids, s.walk(t, orders+"?limit=2&"+filter), filter)
			require.Equal(t, ids, s.walk(t, orders+"?limit=100&"+filter), filter)
		}
		for _, user := range people {
			require.Equal(t, want["user_id="+user], s.walk(t, orders+"/user/"+user+"?limit=3"))
		}
		// Nobody's id is not "no filter".
		for _, nobody := range []string{unknown, "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"} {
			require.Empty(t, s.walk(t, orders+"/user/"+nobody))
			require.Empty(t, s.walk(t, orders+"?user_id="+nobody))
		}
		require.Empty(t, s.walk(t, orders+"/user/"+unknown))
		require.Empty(t, s.walk(t, orders+"?status=delivered"))

		for query, location := range map[string]string{
			"?status=lost": "query.status", "?user_id=x": "query.user_id", "?limit=0": "query.limit", "?cursor=x": "query.cursor",
			"?user=x": "query.user", "?user_id=": "query.user_id", "?status=": "query.status", "?limit=": "query.limit", "?cursor=": "query.cursor",
			"?limit=1&limit=2": "query.limit", "?status=pending&status=shipped": "query.status", "?user_id=%zz": "query", "?limit=1;cursor=x": "query", "/user/x": "path.user_id", "/user/" + unknown + "?limit=101": "query.limit",
		} {
			answer := s.Do(http.MethodGet, orders+query, nil).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{location}, answer.Locations(), query)
		}
	})
}
