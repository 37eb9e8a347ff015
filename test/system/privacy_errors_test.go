package system

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/collector"
	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/internal/testkit/process"
)

// TestErrorsShowNoPersonalData provokes every error status of both services, with requests that
// have a person's data everywhere.
func TestErrorsShowNoPersonalData(t *testing.T) {
	for kind, database := range failingDatabases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			receiver, databases := collector.Start(t), database(t)
			g := startGuardedOn(t, databases.users, databases.orders, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL, "LOG_LEVEL=debug",
				"RATE_LIMIT_READ=1/h:400", "RATE_LIMIT_WRITE=1/h:400", "BODY_TIMEOUT=2s", "USER_CLIENT_CACHE_TTL=1h")
			p := newPrivacy(t, g)
			for _, s := range p.services {
				p.refusals(s)
			}
			p.strangers()
			databases.do(t, databases.refuse)
			for _, s := range p.services {
				require.Equal(t, http.StatusInternalServerError, p.send(http.MethodPost, s.collection, p.another(), s.body()))
			}
			databases.do(t, databases.ruin)
			for _, s := range p.services {
				p.failures(s, http.StatusInternalServerError)
			}
			databases.stop()
			p.unavailable()
			for _, s := range p.services {
				if databases.dead {
					p.failures(s, http.StatusServiceUnavailable)
				}
				p.limited(s)
			}
			for _, s := range p.services {
				p.requireMet(s.process.Address, 400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 422, 429, 431, 500, 503)
			}
			p.requireNoTrace(receiver)
		})
	}
}

// privacy is a person who uses both services, and sends the wrong requests.
type privacy struct {
	*visitor
	g *guarded
	// person is the token's subject; token has allScopes.
	person, token string
	services      []*visited
}

// visited is a service, and the person's resource there.
type visited struct {
	process *process.Process
	// collection and one are the URLs of the list and of the person's resource.
	collection, one string
	// body returns the body of a create, and change is the body of a change.
	body   func() string
	change string
	scope  string
	// conflict sends a request that gets 409.
	conflict func() int
}

func newPrivacy(t *testing.T, g *guarded) *privacy {
	t.Helper()
	p := &privacy{visitor: &visitor{t: t, client: httpClient(t), met: map[string]map[int]bool{}}, g: g, person: uuid.NewString()}
	p.token = g.token(t, p.person, allScopes)
	users, orders := g.users.URL+"/api/v1/users", g.orders.URL+"/api/v1/orders"
	person := fmt.Sprintf(`{"name":%q,"email":%q}`, canary.name, canary.email)
	order := fmt.Sprintf(`{"user_id":%q,"shipping_address":%q,"items":[{"product_id":"p","product_name":%q,"quantity":1,"price":1}]}`, p.person, canary.address, canary.name)
	require.Equal(t, http.StatusCreated, p.send(http.MethodPost, users, p.token, person))
	status, made := p.ask(http.MethodPost, orders, p.token, order)
	require.Equal(t, http.StatusCreated, status, made)
	id := made[len(`{"id":"`) : len(`{"id":"`)+36]
	p.services = []*visited{{
		process: g.users, collection: users, one: users + "/" + p.person, change: person, scope: "users",
		body:     func() string { return strings.Replace(person, canary.email, uuid.NewString()[:8]+canary.email, 1) },
		conflict: func() int { return p.send(http.MethodPost, users, p.another(), person) },
	}, {
		process: g.orders, collection: orders, one: orders + "/" + id, change: `{"shipping_address":"` + canary.address + `"}`, scope: "orders",
		body:     func() string { return order },
		conflict: func() int { return p.send(http.MethodPatch, orders+"/"+id, p.token, `{"status":"pending"}`) },
	}}
	return p
}

// another returns an admin's token with a new subject. Only an admin may order for the person.
func (p *privacy) another() string { return p.g.token(p.t, uuid.NewString(), "admin") }

func (p *privacy) refusals(s *visited) {
	t := p.t
	slow := p.begin(s.process.Address, strings.TrimPrefix(s.collection, s.process.URL), p.token, s.body()[:30], 10)
	type request struct {
		method, url, body string
	}
	changes := []request{{http.MethodPost, s.collection, s.body()}, {http.MethodPut, s.one, s.change}, {http.MethodPatch, s.one, s.change}}
	all := append(slices.Clone(changes), request{http.MethodGet, s.collection, ""}, request{http.MethodGet, s.one, ""}, request{http.MethodDelete, s.one, ""})
	for _, r := range all {
		for name, header := range p.badTokens() {
			status := p.send(r.method, r.url+"?name="+canary.email, "", r.body, "Authorization", header)
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusTooManyRequests}, status, name) // 429 if the token's key might be a new one
		}
		require.Equal(t, http.StatusUnauthorized, p.send(r.method, r.url, "", r.body))
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, p.send(r.method, r.url, "", "", "Authorization", strings.Repeat(canary.name, 2000)))
		require.Equal(t, http.StatusForbidden, p.send(r.method, r.url, p.g.token(t, canary.email, "openid "+canary.email), r.body))
		require.Equal(t, http.StatusUnprocessableEntity, p.send(r.method, r.url+"?"+canary.name+"="+canary.email, p.token, r.body))
		require.Equal(t, http.StatusMethodNotAllowed, p.send(canary.name, r.url, p.token, r.body))
		require.Equal(t, http.StatusNotFound, p.send(r.method, s.process.URL+"/"+canary.name, p.token, r.body))
		if strings.HasPrefix(r.url, s.one) {
			require.Equal(t, http.StatusNotFound, p.send(r.method, s.collection+"/"+uuid.NewString(), p.token, r.body))
			require.Equal(t, http.StatusUnprocessableEntity, p.send(r.method, s.collection+"/"+canary.name, p.token, r.body))
			require.Equal(t, http.StatusNotFound, p.send(r.method, s.collection+"/"+canary.email+"/"+canary.name, p.token, r.body))
		}
	}
	for _, r := range changes {
		for _, body := range []string{r.body[:20], r.body + canary.name, `{"name":"` + canary.name + "\x00" + `"}`, `{"name":"` + canary.name + "\xff\"}", canary.email, ""} {
			require.Equal(t, http.StatusBadRequest, p.send(r.method, r.url, p.token, body), body)
		}
		for _, body := range []string{
			`"` + canary.name + `"`, `["` + canary.name + `"]`, `{"` + canary.email + `":"` + canary.name + `"}`, `{"name":["` + canary.name + `"],"email":{"` + canary.name + `":1},"items":"` + canary.name + `"}`,
			`{"name":"` + strings.Repeat(canary.name, 100) + `","email":"` + canary.name + `","age":"` + canary.name + `","status":"` + canary.name + `","user_id":"` + canary.name + `"}`,
		} {
			require.Equal(t, http.StatusUnprocessableEntity, p.send(r.method, r.url, p.token, body), body)
		}
		require.Equal(t, http.StatusRequestEntityTooLarge, p.send(r.method, r.url, p.token, strings.Replace(r.body, canary.name, strings.Repeat(canary.name, 10_000), 1)+strings.Repeat(" ", 512<<10)))
		for _, header := range []string{"text/" + canary.name, canary.email, "application/json; charset=" + canary.name} {
			require.Equal(t, http.StatusUnsupportedMediaType, p.send(r.method, r.url, p.token, r.body, "Content-Type", header))
		}
		require.Equal(t, http.StatusUnsupportedMediaType, p.send(r.method, r.url, p.token, r.body, "Content-Encoding", canary.name))
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
		body := s.change
		if method == http.MethodDelete {
			body = ""
		}
		require.Equal(t, http.StatusPreconditionFailed, p.send(method, s.one, p.token, body, "If-Match", `"`+canary.email+`"`))
		require.Equal(t, http.StatusUnprocessableEntity, p.send(method, s.one, p.token, body, "If-Match", canary.email))
	}
	for _, query := range []string{"limit=" + canary.name, "cursor=" + canary.name, "user_id=" + canary.email} {
		require.Equal(t, http.StatusUnprocessableEntity, p.send(http.MethodGet, s.collection+"?"+query, p.token, ""), query)
	}
	require.Equal(t, http.StatusUnprocessableEntity, p.send(http.MethodPost, s.collection, p.token, s.body(), "Idempotency-Key", strings.Repeat(canary.name, 100)))
	require.Equal(t, http.StatusConflict, s.conflict())
	require.Equal(t, http.StatusGone, p.gone(s))
	require.Equal(t, http.StatusRequestTimeout, slow())
}

// gone repeats a create whose resource was deleted, and returns the status.
func (p *privacy) gone(s *visited) int {
	token, body, key := p.another(), s.body(), canary.email+" is gone"
	status, made := p.ask(http.MethodPost, s.collection, token, body, "Idempotency-Key", key)
	require.Equal(p.t, http.StatusCreated, status, made)
	id := made[len(`{"id":"`) : len(`{"id":"`)+36]
	require.Equal(p.t, http.StatusNoContent, p.send(http.MethodDelete, s.collection+"/"+id, token, ""))
	return p.send(http.MethodPost, s.collection, token, body, "Idempotency-Key", key)
}

// badTokens returns Authorization headers that are invalid, and have the person's data.
func (p *privacy) badTokens() map[string]string {
	t := p.t
	bearer := func(changes ...func(*issuer.Token)) string {
		changes = append([]func(*issuer.Token){issuer.Set(map[string]any{"name": canary.name, "email": canary.email})}, changes...)
		token, err := p.g.issuer.Token([]string{"user-service", "order-service"}, canary.email, "admin", changes...)
		require.NoError(t, err)
		return "Bearer " + token
	}
	set := func(name string, value any) string { return bearer(issuer.Set(map[string]any{name: value})) }
	return map[string]string{
		"no token":          "Bearer " + canary.name,
		"another scheme":    "Basic " + canary.email,
		"no scheme":         canary.name,
		"expired":           bearer(issuer.ValidFor(-time.Hour)),
		"another audience":  set("aud", canary.email),
		"another issuer":    set("iss", "https://"+canary.name),
		"no issuer":         set("iss", []string{canary.name}),
		"bad subject":       set("sub", canary.name+"\x00"),
		"a time":            set("exp", canary.name),
		"a key":             bearer(func(t *issuer.Token) { t.Key.KeyID = canary.email }),
		"a type":            bearer(func(t *issuer.Token) { t.Header["typ"] = canary.name }),
		"a header":          bearer(func(t *issuer.Token) { t.Header["jku"] = "https://" + canary.name }),
		"a signature":       bearer()[:200] + canary.name,
		"a very long token": set("more", strings.Repeat(canary.name, 500)),
	}
}

// strangers requests the person's resources as another subject: the answers don't reveal
// them.
func (p *privacy) strangers() {
	stranger := p.g.token(p.t, uuid.NewString(), allScopes)
	expired, err := p.g.issuer.Token([]string{"user-service", "order-service"}, p.person, allScopes, issuer.ValidFor(-time.Hour))
	require.NoError(p.t, err)
	for _, s := range p.services {
		for _, token := range []string{stranger, expired, p.g.token(p.t, p.person, "openid"), ""} {
			for _, url := range []string{s.collection, s.one, s.collection + "/user/" + p.person, s.collection + "?user_id=" + p.person} {
				for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete} {
					status, answer := send(p.t, p.client, method, url, token, `{"name":"Bob","email":"bob@example.com","shipping_address":"1"}`)
					require.True(p.t, status >= http.StatusBadRequest || status == http.StatusOK && token == stranger && method == http.MethodGet, "%s %s: %d %s", method, url, status, answer)
					requireNoCanary(p.t, answer)
				}
			}
		}
		status, _ := send(p.t, p.client, http.MethodGet, s.one, p.token, "")
		require.Equal(p.t, http.StatusOK, status, "the person's own request")
	}
}

// failures makes every operation fail.
func (p *privacy) failures(s *visited, status int) {
	require.Equal(p.t, status, p.send(http.MethodPost, s.collection, p.another(), s.body()))
	for _, url := range []string{s.collection, s.one} {
		require.Equal(p.t, status, p.send(http.MethodGet, url, p.token, ""), url)
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		require.Equal(p.t, status, p.send(method, s.one, p.token, s.change), method)
	}
	require.Equal(p.t, status, p.send(http.MethodDelete, s.one, p.token, ""))
}

// unavailable sends requests to both services while their databases are unavailable,
// concurrently because each waits for a while.
func (p *privacy) unavailable() {
	var answers []func() int
	for _, s := range p.services {
		answers = append(answers, p.begin(s.process.Address, strings.TrimPrefix(s.collection, s.process.URL), p.another(), s.body(), 0))
	}
	for _, answer := range answers {
		require.Equal(p.t, http.StatusServiceUnavailable, answer())
	}
}

// limited sends requests until the rate limit rejects one.
func (p *privacy) limited(s *visited) {
	token := p.g.token(p.t, canary.email, "openid")
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		status := http.StatusForbidden
		for status == http.StatusForbidden {
			status = p.send(method, s.collection+"?name="+canary.name, token, s.body())
		}
		require.Equal(p.t, http.StatusTooManyRequests, status)
	}
}

// requireNoTrace searches for the person in everything that the services wrote and sent.
func (p *privacy) requireNoTrace(receiver *collector.Collector) {
	t := p.t
	seen := map[string]string{}
	for _, s := range []*visited{p.services[1], p.services[0]} {
		seen[s.scope+" metrics"] = scrape(t, s.process)
		require.NoError(t, s.process.Signal(syscall.SIGTERM))
		require.Equal(t, 0, s.process.ExitCode(), s.process.Log())
		seen[s.scope+" log"] = s.process.Log()
		require.Contains(t, seen[s.scope+" metrics"], `status="503"`)
		require.Contains(t, seen[s.scope+" log"], `"msg":"request failed"`, "the cause of the 500")
		require.Contains(t, seen[s.scope+" log"], `"msg":"database unavailable"`, "the cause of the 503")
	}
	seen["spans"] = receiver.Received()
	for _, want := range []string{"POST /api/v1/users", "POST /api/v1/orders", `"intValue":"500"`, `"intValue":"503"`} {
		require.Contains(t, seen["spans"], want)
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		t.Log(name, len(seen[name]))
		requireNoCanary(t, seen[name])
	}
}
