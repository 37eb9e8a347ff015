package main

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	widgets = "/api/v1/widgets"
	// someone owns what tests create without a token; unknown is an unused id.
	someone = "019dd1a2-0000-7cc3-9d3a-0c8a3f1b2c4d"
	unknown = "00000000-0000-4000-8000-000000000000"
)

// newWidget returns the body of a valid widget.
func newWidget(changes ...map[string]any) map[string]any {
	it := map[string]any{"owner_id": someone, "name": "A name", "quantity": 3}
	for _, change := range changes {
		maps.Copy(it, change)
	}
	return it
}

func (s *server) create() string {
	return s.Do(http.MethodPost, widgets, newWidget()).Want(http.StatusCreated).ID()
}

func TestCreateAndRead(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		created := s.Do(http.MethodPost, widgets, newWidget(map[string]any{"name": "  spaces around "})).Want(http.StatusCreated)
		require.Equal(t, widgets+"/"+created.ID(), created.Header.Get("Location"))
		require.Equal(t, `"1"`, created.Header.Get("ETag"))
		require.Equal(t, "spaces around", created.Object()["name"])
		require.Equal(t, someone, created.Object()["owner_id"])

		read := s.Do(http.MethodGet, created.Header.Get("Location"), nil).Want(http.StatusOK)
		require.Equal(t, string(created.Body), string(read.Body))
		s.Do(http.MethodGet, created.Header.Get("Location"), nil, "If-None-Match", `"1"`).Want(http.StatusNotModified)
		s.Do(http.MethodGet, created.Header.Get("Location"), nil, "If-Match", `"2"`).Want(http.StatusPreconditionFailed)

		s.Do(http.MethodGet, widgets+"/"+unknown, nil).Want(http.StatusNotFound)
		require.Equal(t, []string{"path.widget_id"}, s.Do(http.MethodGet, widgets+"/1", nil).Want(http.StatusUnprocessableEntity).Locations())
	})
}

func TestInvalidCreations(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for name, c := range map[string]struct {
			body      string
			status    int
			locations []string
		}{
			"nothing":                   {``, 400, []string{"body"}},
			"twice the same field":      {`{"name":"A","name":"B","quantity":1}`, 400, []string{"body.name"}},
			"missing fields":            {`{"owner_id":"` + someone + `"}`, 422, []string{"body.name", "body.quantity"}},
			"an unknown field":          {`{"owner_id":"` + someone + `","name":"A","quantity":1,"color":"x"}`, 422, []string{"body.color"}},
			"wrong types":               {`{"name":1,"quantity":"3"}`, 422, []string{"body.name", "body.quantity"}},
			"no owner":                  {`{"name":"A","quantity":1}`, 422, []string{"body.owner_id"}},
			"the Nil UUID as the owner": {`{"owner_id":"00000000-0000-0000-0000-000000000000","name":"A","quantity":1}`, 422, []string{"body.owner_id"}},
			"everything at once":        {`{"name":" ","quantity":-1}`, 422, []string{"body.owner_id", "body.name", "body.quantity"}},
			"a name too long":           {`{"owner_id":"` + someone + `","name":"` + strings.Repeat("é", 101) + `","quantity":1}`, 422, []string{"body.name"}},
			"a fraction":                {`{"owner_id":"` + someone + `","name":"A","quantity":1.5}`, 422, []string{"body.quantity"}},
			"a quantity too large":      {`{"owner_id":"` + someone + `","name":"A","quantity":1000001}`, 422, []string{"body.quantity"}},
		} {
			answer := s.Do(http.MethodPost, widgets, c.body)
			require.Equal(t, c.status, answer.Status, "%s: %s", name, answer.Body)
			require.Equal(t, c.locations, answer.Locations(), name)
		}
		require.Empty(t, s.Do(http.MethodGet, widgets, nil).Object()["items"], "nothing was stored")
	})
}

func TestChangesAndDeletions(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		path := widgets + "/" + s.create()
		for i, method := range []string{http.MethodPut, http.MethodPatch} {
			change := map[string]any{"quantity": 10 + i}
			changed := s.Do(method, path, change).Want(http.StatusOK)
			require.Equal(t, "A name", changed.Object()["name"], "omitted fields keep their values")
			etag := changed.Header.Get("ETag")
			require.Equal(t, etag, s.Do(method, path, change, "If-Match", etag).Want(http.StatusOK).Header.Get("ETag"), "nothing has changed")
			require.Equal(t, etag, s.Do(method, path, string(changed.Body)).Want(http.StatusOK).Header.Get("ETag"), "the resource as it was read changes nothing")
			s.Do(method, path, change, "If-Match", `"99"`).Want(http.StatusPreconditionFailed)
			s.Do(method, path, map[string]any{"owner_id": unknown}).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{"body.name"}, s.Do(method, path, map[string]any{"name": "a\u0000b"}).Want(http.StatusUnprocessableEntity).Locations())
			s.Do(method, widgets+"/"+unknown, change).Want(http.StatusNotFound)
			s.Do(method, path, change, "Prefer", "return=minimal").Want(http.StatusNoContent)
		}
		s.Do(http.MethodDelete, path, nil, "If-Match", `"1"`).Want(http.StatusPreconditionFailed)
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNotFound)
		s.Do(http.MethodDelete, widgets+"/1", nil).Want(http.StatusUnprocessableEntity)
	})
}

// walk follows a list's Link headers to the end, and returns the ids.
func (s *server) walk(t *testing.T, path string) []string {
	t.Helper()
	link := regexp.MustCompile(`^<(/api/v1/widgets.*)>; rel="next"$`)
	var ids []string
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
		var all, other []string
		for i := range 9 {
			change := map[string]any{}
			if i%3 == 0 {
				change["owner_id"] = unknown
			}
			created := s.Do(http.MethodPost, widgets, newWidget(change)).Want(http.StatusCreated)
			all = slices.Insert(all, 0, created.ID())
			if i%3 == 0 {
				other = slices.Insert(other, 0, created.ID())
			}
		}
		for _, limit := range []string{"?limit=2", "?limit=100"} {
			require.Equal(t, all, s.walk(t, widgets+limit))
			require.Equal(t, other, s.walk(t, widgets+limit+"&owner_id="+unknown))
			require.Equal(t, other, s.walk(t, widgets+limit+"&created_after=2026-01-01T00:00:00Z&owner_id="+unknown))
			require.Empty(t, s.walk(t, widgets+limit+"&created_before=2026-01-01T00:00:00Z"))
		}
		require.Empty(t, s.walk(t, widgets+"?owner_id=00000000-0000-0000-0000-000000000000"), "the Nil UUID is a filter, too")
		for query, location := range map[string]string{
			"?owner_id=x": "query.owner_id", "?limit=0": "query.limit", "?cursor=x": "query.cursor", "?color=x": "query.color", "?created_after=yesterday": "query.created_after",
		} {
			require.Equal(t, []string{location}, s.Do(http.MethodGet, widgets+query, nil).Want(http.StatusUnprocessableEntity).Locations(), query)
		}
	})
}
