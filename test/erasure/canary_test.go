package erasure

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/collector"
	"github.com/example/microservices/internal/testkit/postgres"
)

// canaries are the words that identify the person: each is in one value that the person
// had, or that was rejected. The first eight have letters with several encodings.
var canaries = []string{
	"Zitronengirlitzä", "Distelfinkö", "Bergpieperü", "Grünspechté", // names: created, patched, put, rejected
	"Vogelgässchen", "Falkenwég", "Adlerhörst", "Bussardstraßé", // addresses, likewise
	"wanderfalke", "turmfalke", "baumfalke", "zwergfalke", // of email addresses, likewise
}

// forms returns a word verbatim, and in the encodings that programs write.
func forms(word string) [][]byte {
	ascii, _ := json.Marshal(word) //nolint:errchkjson // a string can't fail
	escaped := &strings.Builder{}
	for _, r := range strings.Trim(string(ascii), `"`) {
		if r < 0x80 {
			escaped.WriteRune(r)
		} else {
			fmt.Fprintf(escaped, `\u%04x`, r)
		}
	}
	all := []string{word, strings.ToLower(word), strings.ToUpper(word), escaped.String(), strings.ToLower(escaped.String()), url.QueryEscape(word), hex.EncodeToString([]byte(word))}
	for shift := range 3 { // for each offset of the word, the characters that depend on the word alone
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			encoded := encoding.EncodeToString(append(make([]byte, shift), word...))
			whole := (shift + len(word)) / 3 * 4
			all = append(all, encoded[(shift*8+5)/6:whole])
		}
	}
	slices.Sort(all)
	var found [][]byte
	for _, form := range slices.Compact(all) {
		found = append(found, []byte(form))
	}
	return found
}

// sightings returns the canaries that content has in any form, each with the text around
// its first occurrence.
func sightings(content []byte) (seen []string) {
	for _, word := range canaries {
		for _, form := range forms(word) {
			if i := bytes.Index(content, form); i >= 0 {
				seen = append(seen, fmt.Sprintf("%s in %q", word, content[max(0, i-60):min(len(content), i+len(form)+60)]))
				break
			}
		}
	}
	return seen
}

// sightingsIn returns those in the files of a folder, except files whose path begins with
// but.
func sightingsIn(t *testing.T, folder, but string) (seen []string) {
	t.Helper()
	for _, file := range within(t, folder, "") {
		name, err := filepath.Rel(folder, file)
		require.NoError(t, err)
		if but != "" && strings.HasPrefix(name, but) {
			continue
		}
		content, err := os.ReadFile(file)
		require.NoError(t, ignoreGone(err))
		for _, s := range sightings(content) {
			seen = append(seen, name+": "+s)
		}
	}
	return seen
}

func TestCanariesAreFoundInEachForm(t *testing.T) {
	for _, text := range []string{
		"x Distelfinkö", `{"a":"Distelfink\u00f6"}`, "?a=Distelfink%C3%B6", "DISTELFINKÖ", "x distelfinkö",
		base64.StdEncoding.EncodeToString([]byte("a Distelfinkö")), base64.URLEncoding.EncodeToString([]byte("Distelfinkö!")),
		base64.StdEncoding.EncodeToString([]byte("ab:Distelfinkö, and more")), fmt.Sprintf("%x", "Distelfinkö"),
	} {
		require.Len(t, sightings([]byte(text)), 1, text)
	}
	require.Empty(t, sightings([]byte("Distelfink is another")))
}

// TestNoByteIsLeftOfAPerson erases a person who used every operation of both services, among
// other people, and searches for the person in SQLite's files, in PostgreSQL's relations
// after VACUUM FULL, in the logs at debug level, in traces and in metrics. README.md says
// which parts of the services this test proves necessary, and what PostgreSQL still keeps.
func TestNoByteIsLeftOfAPerson(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			receiver, temporary := collector.Start(t), t.TempDir()
			env := []string{"LOG_LEVEL=debug", "OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL, "OTEL_TRACES_SAMPLER_ARG=1", "TMPDIR=" + temporary}
			server := (*postgres.Server)(nil)
			if kind == "postgres" {
				var err error
				server, err = postgres.Start(t.Context(), postgres.Options{NoFsync: true})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, server.Stop()) })
			}
			s := openOn(t, kind, server, env...)
			s.others(t, 200)
			user := s.person(t)
			s.others(t, 200)
			require.NotEmpty(t, s.written(t, server), "the search finds what was not erased")

			s.want(t, http.StatusNoContent, http.MethodDelete, s.usersURL()+"/"+user, "")
			s.waitComplete(t, user)
			s.others(t, 50) // so that the files are written to again
			seen := []string{}
			if kind == "sqlite" {
				apitest.Eventually(t, "the person is in no file", func() bool {
					seen = s.written(t, server)
					return len(seen) == 0
				})
			}
			metrics := s.want(t, http.StatusOK, http.MethodGet, s.users.URL+"/metrics", "")
			metrics = append(metrics, s.want(t, http.StatusOK, http.MethodGet, s.orders.URL+"/metrics", "")...)
			for _, p := range []*service{s.orders, s.users} {
				require.NoError(t, p.Signal(syscall.SIGTERM))
				require.Zero(t, p.ExitCode())
			}
			logs := s.users.Log() + s.orders.Log()
			for where, text := range map[string]string{"metrics": string(metrics), "logs": logs, "traces": receiver.Received()} {
				require.Greater(t, len(text), 10000, where)
				require.Empty(t, sightings([]byte(text)), where)
			}
			require.Contains(t, receiver.Received(), "PATCH /api/v1/orders")
			require.Contains(t, logs, `"level":"DEBUG"`)
			require.Empty(t, sightingsIn(t, temporary, ""))
			require.Empty(t, s.written(t, server), "after the services ended")
			if server != nil {
				t.Logf("PostgreSQL's write-ahead log has %d sightings, until it is recycled", len(sightingsIn(t, filepath.Join(server.Data(), "pg_wal"), "")))
				t.Logf("PostgreSQL's own log has: %q", sightings([]byte(server.Log())))
			}
		})
	}
}

// written returns the sightings in the databases' files. PostgreSQL's are rewritten before,
// because VACUUM leaves the bytes of removed rows in a page until other rows need the space,
// and the samples of ANALYZE stay until the next one.
func (s *shop) written(t *testing.T, server *postgres.Server) []string {
	t.Helper()
	if server == nil {
		return append(sightingsIn(t, s.usersDB.folder, ""), sightingsIn(t, s.orderDB.folder, "")...)
	}
	s.vacuum(t, "VACUUM", "ANALYZE", "CHECKPOINT")
	t.Logf("after VACUUM, in free space and old samples: %d sightings", len(sightingsIn(t, server.Data(), "pg_wal")))
	s.vacuum(t, "VACUUM FULL", "CHECKPOINT")
	return sightingsIn(t, server.Data(), "pg_wal")
}

func (s *shop) vacuum(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		s.usersDB.exec(t, statement)
		s.orderDB.exec(t, statement)
	}
}

// others creates n other users with an order each. Their rows surround the person's, and
// split pages of the files.
func (s *shop) others(t *testing.T, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for range n / 4 {
				name, email := fmt.Sprint(c, uuid.NewString()), uuid.NewString()+"@example.com"
				status, body := s.do(http.MethodPost, s.usersURL(), person(name, email), "Idempotency-Key", uuid.NewString())
				if status != http.StatusCreated {
					t.Errorf("%d %s", status, body)
					return
				}
				id := string(body[len(`{"id":"`):][:36])
				status, body = s.do(http.MethodPost, s.ordersURL(), orderOf(id, strings.Repeat(uuid.NewString(), 3)), "Idempotency-Key", uuid.NewString())
				if status != http.StatusCreated {
					t.Errorf("%d %s", status, body)
				}
				if c == 0 {
					s.do(http.MethodPatch, s.usersURL()+"/"+id, `{"name":"Somebody else"}`)
				}
			}
		})
	}
	wg.Wait()
}

// person uses every operation as one person, and returns the person's id.
func (s *shop) person(t *testing.T) (user string) {
	t.Helper()
	u, o := s.usersURL(), s.ordersURL()
	named := func(i int) string { return person("A. "+canaries[i], canaries[8+i]+"@example.com") }
	once := []string{"Idempotency-Key", uuid.NewString()}
	user = idOf(t, s.want(t, http.StatusCreated, http.MethodPost, u, named(0), once...))
	s.want(t, http.StatusCreated, http.MethodPost, u, named(0), once...)                                                   // again
	s.want(t, http.StatusUnprocessableEntity, http.MethodPost, u, named(3), once...)                                       // with another body
	s.want(t, http.StatusConflict, http.MethodPost, u, named(0), "Idempotency-Key", uuid.NewString())                      // the address is taken
	s.want(t, http.StatusOK, http.MethodGet, u+"?email="+url.QueryEscape(strings.ToUpper(canaries[8])+"@example.com"), "") // the filter
	s.want(t, http.StatusOK, http.MethodPatch, u+"/"+user, named(1))
	s.want(t, http.StatusOK, http.MethodPut, u+"/"+user, named(2))

	var orders []string
	keys := []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}
	for i, key := range keys {
		body := orderOf(user, canaries[4+i]+" 7, Wien")
		orders = append(orders, idOf(t, s.want(t, http.StatusCreated, http.MethodPost, o, body, "Idempotency-Key", key)))
		s.want(t, http.StatusCreated, http.MethodPost, o, body, "Idempotency-Key", key)
	}
	s.want(t, http.StatusOK, http.MethodPatch, o+"/"+orders[0], `{"shipping_address":"`+canaries[5]+`"}`)
	whole := string(s.want(t, http.StatusOK, http.MethodGet, o+"/"+orders[1], ""))
	s.want(t, http.StatusOK, http.MethodPut, o+"/"+orders[1], strings.ReplaceAll(whole, canaries[5], canaries[6]))
	for _, status := range []string{"confirmed", "shipped", "delivered"} {
		s.want(t, http.StatusOK, http.MethodPatch, o+"/"+orders[1], `{"status":"`+status+`"}`)
	}
	s.want(t, http.StatusNoContent, http.MethodDelete, o+"/"+orders[2], "")

	for i, word := range canaries { // rejected requests
		for j, at := range []string{u, u + "/" + user, o, o + "/" + orders[0], o + "/user/" + user} {
			body := []string{
				`{"name":"` + word, `{"` + word + `":1}`, `{"name":1,"email":"` + word + `"}`, `{"shipping_address":["` + word + `"]}`, `"` + word + `"`,
			}[(i+j)%5]
			for _, method := range []string{http.MethodPost, http.MethodPatch} {
				status, answer := s.do(method, at, body, "Idempotency-Key", uuid.NewString(), "Referer", "https://x/"+url.PathEscape(word), "User-Agent", url.PathEscape(word), "X-Request-Id", word+"@x")
				require.GreaterOrEqual(t, status, http.StatusBadRequest, "%s", answer)
			}
		}
		escaped := url.PathEscape(word)
		for j, at := range []string{u + "/" + escaped, o + "/" + escaped, o + "/user/" + escaped, u + "?name=" + escaped, o + "?status=" + escaped, u + "?cursor=" + escaped, u + "/" + escaped + "/erasure", s.users.URL + "/" + escaped} {
			status, _ := s.do([]string{http.MethodGet, http.MethodDelete, http.MethodPatch}[(i+j)%3], at, "")
			require.GreaterOrEqual(t, status, http.StatusBadRequest, at)
		}
		s.do(http.MethodGet, u+"?email="+url.QueryEscape(word+"@example.com"), "") // which others may have
	}
	s.want(t, http.StatusUnprocessableEntity, http.MethodPost, o, orderOf(uuid.NewString(), canaries[7]), "Idempotency-Key", uuid.NewString()) // the user does not exist
	for _, at := range []string{u, u + "/" + user, o, o + "/" + orders[0], o + "/user/" + user, o + "/" + orders[0] + "/events", u + "/events", o + "/events"} {
		s.want(t, http.StatusOK, http.MethodGet, at, "")
	}
	return user
}
