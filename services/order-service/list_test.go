package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
)

// walk follows a list's Link headers to the end, and returns the ids.
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
		// The zero id is a filter, too.
		for _, nobody := range []string{unknown, "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"} {
			require.Empty(t, s.walk(t, orders+"/user/"+nobody))
			require.Empty(t, s.walk(t, orders+"?user_id="+nobody))
		}
		require.Empty(t, s.walk(t, orders+"/user/"+unknown))
		require.Empty(t, s.walk(t, orders+"?status=delivered"))

		for query, location := range map[string]string{
			"?status=lost": "query.status", "?user_id=x": "query.user_id", "?limit=0": "query.limit", "?cursor=x": "query.cursor",
			"?user=x": "query.user", "?user_id=": "query.user_id", "?status=": "query.status", "?limit=": "query.limit", "?cursor=": "query.cursor",
			"?limit=1&limit=2": "query.limit", "?status=pending&status=shipped": "query.status", "?user_id=%zz": "query", "?created_after=yesterday": "query.created_after", "/user/" + unknown + "?created_before=2026-01-02": "query.created_before", "?limit=1;cursor=x": "query", "/user/x": "path.user_id", "/user/" + unknown + "?limit=101": "query.limit",
		} {
			answer := s.Do(http.MethodGet, orders+query, nil).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{location}, answer.Locations(), query)
		}
	})
}

func TestOrdersOfAPeriod(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var created, times []string
		for i := 0; i < 9; {
			answer := s.create()
			at := answer.Object()["created_at"].(string)
			if i == 0 || at != times[i-1] { // a new millisecond
				created, times = append(created, answer.ID()), append(times, at)
				i++
				continue
			}
			s.Do(http.MethodDelete, orders+"/"+answer.ID(), nil).Want(http.StatusNoContent)
		}
		newest := slices.Clone(created)
		slices.Reverse(newest)
		for query, want := range map[string][]string{
			"created_after=" + times[3]: newest[:5], "created_before=" + times[3]: newest[6:],
			"created_after=" + times[1] + "&created_before=" + times[6]:                      newest[3:7],
			"status=pending&created_after=" + times[1] + "&created_before=" + times[6]:       newest[3:7],
			"user_id=" + s.user + "&created_before=" + times[2]:                              newest[7:],
			"user_id=" + s.user + "&status=pending&created_after=" + times[6]:                newest[:2],
			"user_id=" + s.user + "&status=confirmed&created_after=" + times[6]:              {},
			"created_after=" + times[6] + "&created_before=" + times[1]:                      {},
			"created_after=0000-01-01T00:00:00Z&created_before=9999-12-31T23:59:59.9999999Z": newest,
			"created_before=0001-01-01T00:00:00Z":                                            {},
		} {
			for _, limit := range []string{"limit=2&", "limit=100&"} {
				require.Equal(t, want, s.walk(t, orders+"?"+limit+query), query)
			}
		}
		require.Equal(t, newest[:5], s.walk(t, orders+"/user/"+s.user+"?limit=2&created_after="+times[3]))
		// A cursor continues below its position, with any period.
		cursor := regexp.MustCompile(`"next_cursor":"([^"]+)"`).FindSubmatch(s.Do(http.MethodGet, orders+"?limit=2", nil).Want(http.StatusOK).Body)
		require.Equal(t, newest[2:5], s.walk(t, orders+"?created_after="+times[3]+"&cursor="+string(cursor[1])))
	})
}
