package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/page"
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
		require.Equal(t, want[:20], first.ids(), "20 by default, newest first")
		require.NotNil(t, first.NextCursor)

		// Follow the Link headers.
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
				// Concurrent inserts and deletes neither repeat nor hide a row.
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

func TestWhichUsersExist(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		ada, bob := s.Do(http.MethodPost, users, person("ada@example.com")).ID(), s.Do(http.MethodPost, users, person("bob@example.com")).ID()
		exist := func(ids ...string) any {
			return s.Do(http.MethodGet, users+"/existing?ids="+strings.Join(ids, ","), nil).Want(http.StatusOK).Object()["ids"]
		}
		require.ElementsMatch(t, []any{ada, bob}, exist(bob, unknown, strings.ToUpper(ada), ada))
		require.Empty(t, exist(unknown))
		require.NotNil(t, exist(unknown), "an empty list, not null")
		for query, message := range map[string]string{
			"":                  "is missing",
			"?ids=":             "is empty",
			"?ids=" + ada + ",": "must be",
			"?ids=" + strings.Repeat(ada+",", 100) + bob: "must have at most 100 ids",
		} {
			details := s.Do(http.MethodGet, users+"/existing"+query, nil).Want(http.StatusUnprocessableEntity).Object()["errors"]
			require.Contains(t, fmt.Sprint(details), message)
			require.Contains(t, fmt.Sprint(details), "query.ids")
		}
	})
}

func TestAListRefusesWrongParameters(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for query, location := range map[string]string{
			"limit=0": "query.limit", "limit=101": "query.limit", "limit=x": "query.limit", "limit=-1": "query.limit",
			"cursor=x": "query.cursor", "cursor=AQAAAAAAAAAAAAAAAAAAAAB": "query.cursor", "cursor=%00": "query.cursor",
			"offset=3": "query.offset", "email=ada": "query.email", "email=a%00@example.com": "query.email", "created_after=%00": "query.created_after", "email=": "query.email", "email=ada+tag@example.com": "query.email",
			"email=a@example.com&email=b@example.com": "query.email",
			"created_after=yesterday":                 "query.created_after", "created_before=2026-01-02": "query.created_before",
			"created_after=2026-01-02T3:04:05Z":       "query.created_after",
			"created_after=2026-01-02T03:04:05+01:00": "query.created_after", "created_before=": "query.created_before",
			"created_before=9999-12-31T23:59:59-12:00": "query.created_before", "created_after=0000-01-01T00:00:00%2B12:00": "query.created_after",
			"created_after=2026-01-02T03:04:05Z&created_after=2026-01-02T03:04:05Z": "query.created_after",
		} {
			answer := s.Do(http.MethodGet, users+"?"+query, nil).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{location}, answer.Locations(), query)
		}
	})
}

// walk follows a list's Link headers to the end, and returns the ids.
func (s *server) walk(t *testing.T, path string) []string {
	t.Helper()
	link := regexp.MustCompile(`^<(/api/v1/users\?.*)>; rel="next"$`)
	ids := []string{}
	for path != "" {
		answer := s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
		var page userList
		answer.Decode(&page)
		ids = append(ids, page.ids()...)
		path = ""
		if page.NextCursor != nil {
			next := link.FindStringSubmatch(answer.Header.Get("Link"))
			require.NotNil(t, next)
			path = next[1]
		}
	}
	return ids
}

func TestUsersByAddressAndTime(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		created := make([]string, 7)
		times := make([]string, len(created))
		for i := range created {
			created[i] = s.Do(http.MethodPost, users, person(fmt.Sprintf("Ada+%d@Bücher.example", i))).Want(http.StatusCreated).ID()
			times[i] = fmt.Sprintf("2026-01-02T03:04:%02d.678Z", 10+i)
			s.execute(t, fmt.Sprintf("UPDATE user_service.users SET created_at = %s WHERE id = '%s'", s.instant(t, times[i]), created[i]))
		}
		newest := slices.Clone(created)
		slices.Reverse(newest)
		for query, want := range map[string][]string{
			"created_after=" + times[2]: newest[:4], "created_before=" + times[2]: newest[5:],
			"created_after=" + times[1] + "&created_before=" + times[4]:                        newest[3:5],
			"created_after=" + times[4] + "&created_before=" + times[1]:                        {},
			"created_after=0000-01-01T00:00:00Z":                                               newest,
			"created_before=9999-12-31T23:59:59.9999999Z":                                      newest,
			"created_before=0001-01-01T00:00:00Z":                                              {},
			"created_after=2026-01-02T05:04:15.6779%2B02:00":                                   newest[:2],
			"created_after=2026-01-02T05:04:15.6781%2B02:00":                                   newest[:1],
			"email=ada%2b3@xn--bcher-kva.example":                                              {created[3]},
			"email=ADA%2B3@b%c3%bccher.example":                                                {created[3]},
			"email=nobody@example.com":                                                         {},
			"email=ada%2b3@b%c3%bccher.example&created_after=" + times[2]:                      {created[3]},
			"email=ada%2b3@b%c3%bccher.example&created_after=" + times[3]:                      {},
			"email=ada%2b3@b%c3%bccher.example&created_before=" + times[3] + "&limit=1":        {},
			"email=ada%2b3@b%c3%bccher.example&cursor=" + page.Request{}.Cursor() + "&limit=1": {},
		} {
			require.Equal(t, want, s.walk(t, users+"?"+query), query)
			if !strings.Contains(query, "limit") {
				require.Equal(t, want, s.walk(t, users+"?limit=2&"+query), query)
			}
		}

		// A cursor of one kind of list is invalid for the other.
		var list userList
		for first, other := range map[string]string{"?limit=1": "&created_after=" + times[0], "?limit=1&created_after=" + times[0]: ""} {
			s.Do(http.MethodGet, users+first, nil).Want(http.StatusOK).Decode(&list)
			refused := s.Do(http.MethodGet, users+"?limit=1&cursor="+*list.NextCursor+other, nil).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{"query.cursor"}, refused.Locations())
			require.Contains(t, string(refused.Body), "other filters")
		}
		// With another period it continues below its position.
		s.Do(http.MethodGet, users+"?limit=2&created_after="+times[0], nil).Want(http.StatusOK).Decode(&list)
		require.Equal(t, newest[2:5], s.walk(t, users+"?created_after="+times[1]+"&cursor="+*list.NextCursor))
		require.Equal(t, newest[4:], s.walk(t, users+"?created_before="+times[3]+"&cursor="+*list.NextCursor))
	})
}

// instant formats a time as the server's database stores it.
func (s *server) instant(t *testing.T, at string) string {
	parsed, err := time.Parse(time.RFC3339, at)
	require.NoError(t, err)
	if strings.HasPrefix(s.config.DatabaseURL, "sqlite://") {
		return fmt.Sprint(parsed.UnixMicro())
	}
	return "'" + at + "'"
}
