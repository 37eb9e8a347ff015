package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/services/user-service/internal/api"
)

const users = "/api/v1/users"

// unknown is an id that no user has, of another UUID version.
const unknown = "00000000-0000-4000-8000-000000000000"

func person(email string) map[string]any {
	return map[string]any{"name": "Ada Lovelace", "email": email, "age": 36}
}

func TestAUserIsCreatedAndRead(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		created := s.Do(http.MethodPost, users, person("Ada@Example.com")).Want(http.StatusCreated)
		require.Equal(t, users+"/"+created.ID(), created.Header.Get("Location"))
		require.Equal(t, `"1"`, created.Header.Get("ETag"))
		require.Equal(t, "Ada@Example.com", created.Object()["email"], "stored as the client wrote it")
		require.Equal(t, "7", created.ID()[14:15], "a UUID of version 7")

		read := s.Do(http.MethodGet, created.Header.Get("Location"), nil).Want(http.StatusOK)
		require.Equal(t, created.Body, read.Body)
		require.Equal(t, created.Header.Get("ETag"), read.Header.Get("ETag"))
		s.Do(http.MethodHead, created.Header.Get("Location"), nil).Want(http.StatusOK)

		s.Do(http.MethodGet, users+"/"+unknown, nil).Want(http.StatusNotFound)
		malformed := s.Do(http.MethodGet, users+"/1", nil).Want(http.StatusUnprocessableEntity)
		require.Equal(t, []string{"path.user_id"}, malformed.Locations())
	})
}

func TestValidUsers(t *testing.T) {
	hundred := strings.Repeat("𝒜", 100)
	each(t, func(t *testing.T, s *server) {
		for i, c := range []struct {
			name string
			body string
			want map[string]any
		}{
			{"without age", `{"name":"A","email":"1@example.com"}`, map[string]any{"name": "A", "age": nil}},
			{"with no age", `{"name":"A","email":"2@example.com","age":null}`, map[string]any{"age": nil}},
			{"an age by its value", `{"name":"A","email":"3@example.com","age":1.5e1}`, map[string]any{"age": "15"}},
			{"the least age", `{"name":"A","email":"4@example.com","age":0}`, map[string]any{"age": "0"}},
			{"the most age", `{"name":"A","email":"5@example.com","age":150}`, map[string]any{"age": "150"}},
			{"the longest name", `{"name":"  ` + hundred + ` ","email":"6@example.com"}`, map[string]any{"name": hundred}},
			{"an international domain", `{"name":"A","email":"7@bücher.example"}`, map[string]any{"email": "7@bücher.example"}},
			{"escapes", `{"name":"\u0041\ud83d\ude00","email":"8@example.com"}`, map[string]any{"name": "A😀"}},
		} {
			answer := s.Do(http.MethodPost, users, c.body).Want(http.StatusCreated)
			got := answer.Object()
			for field, want := range c.want {
				if got[field] != nil {
					got[field] = fmt.Sprint(got[field])
				}
				require.Equal(t, want, got[field], "%d: %s", i, c.name)
			}
		}
	})
}

func TestInvalidCreations(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for name, c := range map[string]struct {
			body      string
			status    int
			locations []string
		}{
			"nothing":                  {``, 400, []string{"body"}},
			"malformed":                {`{"name":`, 400, []string{"body.name"}},
			"twice the same field":     {`{"name":"A","name":"B","email":"a@example.com"}`, 400, []string{"body.name"}},
			"trailing data":            {`{"name":"A","email":"a@example.com"} {}`, 400, []string{"body"}},
			"invalid UTF-8":            {"{\"name\":\"\xff\",\"email\":\"a@example.com\"}", 400, []string{"body.name"}},
			"a lone surrogate":         {`{"name":"\ud800","email":"a@example.com"}`, 400, []string{"body.name"}},
			"a list":                   {`[]`, 422, []string{"body"}},
			"null":                     {`null`, 422, []string{"body"}},
			"missing fields":           {`{}`, 422, []string{"body.name", "body.email"}},
			"unknown field":            {`{"name":"A","email":"a@example.com","nick":"x"}`, 422, []string{"body.nick"}},
			"read-only field":          {`{"name":"A","email":"a@example.com","id":"` + unknown + `"}`, 422, []string{"body.id"}},
			"another case":             {`{"Name":"A","email":"a@example.com"}`, 422, []string{"body.Name", "body.name"}},
			"wrong types":              {`{"name":1,"email":true,"age":"36"}`, 422, []string{"body.name", "body.email", "body.age"}},
			"null name":                {`{"name":null,"email":"a@example.com"}`, 422, []string{"body.name"}},
			"too deep":                 {`{"name":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `,"email":"a@example.com"}`, 422, []string{"body.name"}},
			"blank name":               {`{"name":" \u00a0 ","email":"a@example.com"}`, 422, []string{"body.name"}},
			"a name too long":          {`{"name":"` + strings.Repeat("é", 101) + `","email":"a@example.com"}`, 422, []string{"body.name"}},
			"NUL in a name":            {`{"name":"a\u0000b","email":"a@example.com"}`, 422, []string{"body.name"}},
			"a line break in a name":   {`{"name":"a\nb","email":"a@example.com"}`, 422, []string{"body.name"}},
			"an escape in an email":    {`{"name":"A","email":"a\u001b@example.com"}`, 422, []string{"body.email"}},
			"no email address":         {`{"name":"A","email":"ada"}`, 422, []string{"body.email"}},
			"a fraction of a year":     {`{"name":"A","email":"a@example.com","age":36.5}`, 422, []string{"body.age"}},
			"an age below 0":           {`{"name":"A","email":"a@example.com","age":-1}`, 422, []string{"body.age"}},
			"an age above 150":         {`{"name":"A","email":"a@example.com","age":151}`, 422, []string{"body.age"}},
			"an age beyond any number": {`{"name":"A","email":"a@example.com","age":1e400}`, 422, []string{"body.age"}},
			"everything at once":       {`{"name":"","email":"x","age":200}`, 422, []string{"body.name", "body.email", "body.age"}},
		} {
			answer := s.Do(http.MethodPost, users, c.body)
			require.Equal(t, c.status, answer.Status, "%s: %s", name, answer.Body)
			require.Equal(t, c.locations, answer.Locations(), name)
		}
		require.Empty(t, s.Do(http.MethodGet, users, nil).Object()["items"], "nothing was stored")
	})
}

func TestAnEmailAddressIsUniqueWhateverTheCase(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		first := s.Do(http.MethodPost, users, person("Ada@Bücher.example")).Want(http.StatusCreated)
		for _, same := range []string{"ada@bücher.example", "ADA@BÜCHER.EXAMPLE", "ada@xn--bcher-kva.example"} {
			s.Do(http.MethodPost, users, person(same)).Want(http.StatusConflict)
		}
		other := s.Do(http.MethodPost, users, person("ada+tag@bücher.example")).Want(http.StatusCreated)
		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			s.Do(method, users+"/"+other.ID(), map[string]any{"email": "aDa@bücher.example"}).Want(http.StatusConflict)
		}
		s.Do(http.MethodPatch, users+"/"+first.ID(), map[string]any{"email": "aDa@bücher.example"}).Want(http.StatusOK)
		s.Do(http.MethodDelete, users+"/"+first.ID(), nil).Want(http.StatusNoContent)
		s.Do(http.MethodPost, users, person("ada@bücher.example")).Want(http.StatusCreated)
	})
}

func TestOfManyWithTheSameAddressOneIsCreated(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		statuses := apitest.Race(20, func(i int) int {
			email := []byte("ada@example.com")
			email[i%3] -= 'a' - 'A'
			return s.Do(http.MethodPost, users, person(string(email))).Status
		})
		require.Equal(t, map[int]int{http.StatusCreated: 1, http.StatusConflict: 19}, statuses)
	})
}

// editable are the fields of requests, with values that differ from those of person.
var editable = map[string]string{
	"name":  `"Grace"`,
	"email": `"grace@example.com"`,
	"age":   `37`,
}

// TestEveryFieldIsSetAndChanged fails if a new field of a request is not in editable, or if
// its value is lost on creation or in a change.
func TestEveryFieldIsSetAndChanged(t *testing.T) {
	fields := slices.Sorted(maps.Keys(editable))
	require.Equal(t, fields, apitest.Members[api.NewUser](), "add the new field to editable")
	require.Equal(t, fields, apitest.Members[api.UserChange]("id", "created_at", "updated_at"), "add the new field to editable")
	each(t, func(t *testing.T, s *server) {
		for field, value := range editable {
			plain := s.Do(http.MethodPost, users, person("ada@example.com")).Want(http.StatusCreated)
			path := plain.Header.Get("Location")
			changed := s.Do(http.MethodPatch, path, `{"`+field+`":`+value+`}`).Want(http.StatusOK)
			require.NotEqual(t, plain.Object()[field], changed.Object()[field], "%s in a change", field)
			require.Equal(t, `"2"`, changed.Header.Get("ETag"), field)
			require.Equal(t, changed.Body, s.Do(http.MethodGet, path, nil).Body, field)
			s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)

			body := person("ada@example.com")
			body[field] = json.RawMessage(value)
			set := s.Do(http.MethodPost, users, body).Want(http.StatusCreated)
			require.Equal(t, changed.Object()[field], set.Object()[field], "%s on creation", field)
			s.Do(http.MethodDelete, set.Header.Get("Location"), nil).Want(http.StatusNoContent)
		}
	})
}

func TestAUserIsChanged(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			created := s.Do(http.MethodPost, users, person(method+"@example.com")).Want(http.StatusCreated)
			path := users + "/" + created.ID()

			renamed := s.Do(method, path, map[string]any{"name": " Ada King "}).Want(http.StatusOK)
			require.Equal(t, "Ada King", renamed.Object()["name"])
			require.Equal(t, created.Object()["email"], renamed.Object()["email"], "omitted fields keep their values")
			require.Equal(t, created.Object()["created_at"], renamed.Object()["created_at"])
			require.Equal(t, `"2"`, renamed.Header.Get("ETag"))

			cleared := s.Do(method, path, `{"age":null}`).Want(http.StatusOK)
			require.Nil(t, cleared.Object()["age"])

			whole := s.Do(method, path, string(cleared.Body)).Want(http.StatusOK)
			require.Equal(t, cleared.Body, whole.Body, "the resource as it was read is accepted, and changes nothing")
			require.Equal(t, cleared.Header.Get("ETag"), whole.Header.Get("ETag"))
			require.Equal(t, whole.Body, s.Do(method, path, `{}`).Want(http.StatusOK).Body)

			s.Do(method, path, `{"created_at":"`+strings.Replace(created.Object()["created_at"].(string), "Z", "+00:00", 1)+`"}`).Want(http.StatusOK)
			seconds, _, _ := strings.Cut(created.Object()["created_at"].(string), ".")
			s.Do(method, path, `{"created_at":"`+seconds+`Z"}`).Want(http.StatusOK)
			for field, value := range map[string]any{"id": unknown, "created_at": "2020-01-01T00:00:00Z", "updated_at": "yesterday"} {
				refused := s.Do(method, path, map[string]any{field: value, "name": "X"}).Want(http.StatusUnprocessableEntity)
				require.Equal(t, []string{"body." + field}, refused.Locations())
			}
			refused := s.Do(method, path, `{"name":null,"email":"x","age":151,"nick":1}`).Want(http.StatusUnprocessableEntity)
			require.Equal(t, []string{"body.name", "body.nick"}, refused.Locations())
			require.Equal(t, whole.Body, s.Do(http.MethodGet, path, nil).Body, "a rejected change changes nothing")

			s.Do(method, users+"/"+unknown, `{"name":"X"}`).Want(http.StatusNotFound)
			s.Do(method, users+"/x", `{"name":"X"}`).Want(http.StatusUnprocessableEntity)
			s.Do(method, path, `{`).Want(http.StatusBadRequest)
		}
	})
}

// TestValuesOfAnEarlierVersionMayBeSentBack: a client may send back values that an earlier
// release stored and this one rejects. New values like these are rejected.
func TestValuesOfAnEarlierVersionMayBeSentBack(t *testing.T) {
	const hidden, address = "Ada \u202egnaliB", "ada@exam\u00adple.com"
	each(t, func(t *testing.T, s *server) {
		for _, method := range []string{http.MethodPut, http.MethodPatch} {
			path := users + "/" + s.Do(http.MethodPost, users, person(method+"@example.com")).ID()
			s.execute(t, "UPDATE user_service.users SET name = '"+hidden+"', email = '"+address+"'")
			read := s.Do(http.MethodGet, path, nil).Want(http.StatusOK)
			whole := read.Object()
			require.Equal(t, []any{hidden, address}, []any{whole["name"], whole["email"]})
			require.Equal(t, read.Body, s.Do(method, path, string(read.Body)).Want(http.StatusOK).Body)

			whole["age"] = 37
			changed := s.Do(method, path, whole).Want(http.StatusOK).Object()
			require.Equal(t, []any{hidden, address, "37"}, []any{changed["name"], changed["email"], fmt.Sprint(changed["age"])})

			for field, value := range map[string]string{"name": hidden + "!", "email": "x" + address} {
				refused := s.Do(method, path, map[string]any{field: value}).Want(http.StatusUnprocessableEntity)
				require.Equal(t, []string{"body." + field}, refused.Locations())
			}
			s.Do(http.MethodPost, users, map[string]any{"name": hidden, "email": address}).Want(http.StatusUnprocessableEntity)
		}
	})
}

func TestConditions(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		path := users + "/" + s.Do(http.MethodPost, users, person("ada@example.com")).ID()
		notModified := s.Do(http.MethodGet, path, nil, "If-None-Match", `"7", W/"1"`).Want(http.StatusNotModified)
		require.Equal(t, `"1"`, notModified.Header.Get("ETag"))
		s.Do(http.MethodGet, path, nil, "If-Match", `"7"`).Want(http.StatusPreconditionFailed)
		s.Do(http.MethodGet, path, nil, "If-None-Match", `*`).Want(http.StatusNotModified)
		s.Do(http.MethodGet, path, nil, "If-None-Match", `, "2" ,`).Want(http.StatusOK)
		s.Do(http.MethodGet, path, nil, "If-None-Match", ``).Want(http.StatusUnprocessableEntity)

		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
			body := any(map[string]any{"name": "X"})
			if method == http.MethodDelete {
				body = nil
			}
			for _, stale := range []string{`"0"`, `W/"1"`, `"0", "2"`, `""`} {
				s.Do(method, path, body, "If-Match", stale).Want(http.StatusPreconditionFailed)
			}
			for _, bad := range []string{``, `1`, `"1`, `"1" "2"`, `,`} {
				answer := s.Do(method, path, body, "If-Match", bad).Want(http.StatusUnprocessableEntity)
				require.Equal(t, []string{"header.If-Match"}, answer.Locations())
			}
			s.Do(method, users+"/"+unknown, body, "If-Match", `*`).Want(http.StatusNotFound)
		}
		s.Do(http.MethodPatch, path, `{"name":"X"}`, "If-Match", `"1"`).Want(http.StatusOK)
		s.Do(http.MethodPatch, path, `{"name":"Y"}`, "If-Match", `"1", "2"`).Want(http.StatusOK)
		s.Do(http.MethodDelete, path, nil, "If-Match", `"1"`).Want(http.StatusPreconditionFailed)
		s.Do(http.MethodDelete, path, nil, "If-Match", `"3"`).Want(http.StatusNoContent)
	})
}

func TestOfManyChangesToTheSameVersionOneWins(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		path := users + "/" + s.Do(http.MethodPost, users, person("ada@example.com")).ID()
		statuses := apitest.Race(20, func(i int) int {
			return s.Do(http.MethodPatch, path, map[string]any{"name": fmt.Sprint("Ada ", i)}, "If-Match", `"1"`).Status
		})
		require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusPreconditionFailed: 19}, statuses)

		// Without a condition all changes are applied, one after the other.
		statuses = apitest.Race(20, func(i int) int {
			return s.Do(http.MethodPatch, path, map[string]any{"name": fmt.Sprint("Grace ", i)}).Status
		})
		require.Equal(t, map[int]int{http.StatusOK: 20}, statuses)
		require.Equal(t, `"22"`, s.Do(http.MethodGet, path, nil).Header.Get("ETag"))
	})
}

func TestAUserIsDeleted(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		path := users + "/" + s.Do(http.MethodPost, users, person("ada@example.com")).ID()
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNoContent)
		s.Do(http.MethodDelete, path, nil).Want(http.StatusNotFound)
		s.Do(http.MethodGet, path, nil).Want(http.StatusNotFound)
		s.Do(http.MethodDelete, users+"/x", nil).Want(http.StatusUnprocessableEntity)
	})
}

// TestPreferMinimalOmitsTheResource tests Prefer: return=minimal (RFC 7240, section 4.2).
func TestPreferMinimalOmitsTheResource(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		minimal := func(status int, a *apitest.Answer) *apitest.Answer {
			t.Helper()
			require.Empty(t, a.Want(status).Body)
			require.Equal(t, "return=minimal", a.Header.Get("Preference-Applied"))
			require.Empty(t, a.Header.Get("Content-Type"))
			return a
		}
		created := minimal(http.StatusCreated, s.Do(http.MethodPost, users, person("ada@example.com"), "Prefer", "return=minimal", "Idempotency-Key", "k"))
		require.Equal(t, `"1"`, created.Header.Get("ETag"))
		path := created.Header.Get("Location")
		read := s.Do(http.MethodGet, path, nil, "Prefer", "return=minimal").Want(http.StatusOK)

		// A replayed response follows the preference of its own request.
		whole := s.Do(http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "k").Want(http.StatusCreated)
		require.Equal(t, read.Body, whole.Body)
		again := minimal(http.StatusCreated, s.Do(http.MethodPost, users, person("ada@example.com"), "Prefer", "return=minimal", "Idempotency-Key", "k"))
		for _, replayed := range []*apitest.Answer{whole, again} {
			require.Equal(t, "true", replayed.Header.Get("Idempotent-Replayed"))
			require.Equal(t, path, replayed.Header.Get("Location"))
		}

		for i, prefer := range []string{"return=minimal", `wait=10, Return="minimal"; foo=bar`, "return=minimal, return=representation"} {
			changed := minimal(http.StatusNoContent, s.Do([]string{http.MethodPut, http.MethodPatch}[i%2], path, map[string]any{"age": i}, "Prefer", prefer))
			require.Equal(t, fmt.Sprintf(`"%d"`, 2+i), changed.Header.Get("ETag"))
		}
		minimal(http.StatusNoContent, s.Do(http.MethodPatch, path, `{}`, "Prefer", "respond-async", "Prefer", "return=minimal"))
		for _, prefer := range []string{"", "return=representation, return=minimal", "return=minimalist", "minimal", "x-return=minimal"} {
			changed := s.Do(http.MethodPatch, path, `{}`, "Prefer", prefer).Want(http.StatusOK)
			require.NotEmpty(t, changed.Body)
			require.Empty(t, changed.Header.Get("Preference-Applied"))
		}
		// A rejection always has its body.
		refused := s.Do(http.MethodPatch, path, `{"name":""}`, "Prefer", "return=minimal").Want(http.StatusUnprocessableEntity)
		require.Equal(t, []string{"body.name"}, refused.Locations())
		require.Empty(t, refused.Header.Get("Preference-Applied"))
	})
}
