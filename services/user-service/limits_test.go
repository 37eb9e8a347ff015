package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/redis"
	"github.com/example/microservices/pkg/health"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/ratelimit"
)

// anHour is a limit that doesn't refill during a test.
func anHour(requests int) ratelimit.Limit {
	return ratelimit.Limit{Requests: requests, Period: time.Hour, Burst: requests}
}

// TestEachOperationIsLimited: every operation except the probes counts towards a caller's
// rate limit.
func TestEachOperationIsLimited(t *testing.T) {
	start(t, databases["sqlite"](t), func(c *configuration) { c.ReadLimit, c.WriteLimit = anHour(1), anHour(1) }).TestLimits(t)
}

// admitted sends concurrent requests and returns how many did not get 429.
func admitted(requests int, send func(n int) *apitest.Answer) int {
	counts := apitest.Race(requests, func(n int) int { return send(n).Status })
	return requests - counts[http.StatusTooManyRequests]
}

// TestEachCallerHasItsOwnLimit: each subject has its own limit, with any token; clients
// without a valid token share their address's limit; services have none.
func TestEachCallerHasItsOwnLimit(t *testing.T) {
	is := apitest.NewIssuers(t, name, "users:lookup events:read")
	s := start(t, databases["sqlite"](t), func(c *configuration) {
		c.AuthIssuers, c.ReadLimit, c.WriteLimit = is.Setting, anHour(5), anHour(3)
	})
	get := func(header string) func(int) *apitest.Answer {
		return func(int) *apitest.Answer { return s.Do(http.MethodGet, users, nil, "Authorization", header) }
	}
	for range 2 {
		subject := uuid.NewString()
		require.Equal(t, 5, admitted(20, func(int) *apitest.Answer { return get(is.Token(t, subject, "users:read"))(0) }))
		require.Equal(t, 3, admitted(20, func(int) *apitest.Answer {
			return s.Do(http.MethodPost, users, newUser(), "Authorization", is.Token(t, subject, "users:read"))
		}), "rejected requests count as well")
	}
	refused := is.Refused(t, uuid.NewString())
	require.Equal(t, 5, admitted(20, get(refused["expired"])))
	require.Zero(t, admitted(20, get(refused["none"])), "clients with any invalid token share the limit")
	require.Equal(t, 50, admitted(50, func(int) *apitest.Answer {
		return s.Do(http.MethodGet, users+"/"+uuid.NewString(), nil, "Authorization", is.Service(t, apitest.ServiceSubject))
	}))
}

// TestTheClientIsThePeerOfTheConnection: the client is the peer of the connection, unless that is a
// trusted proxy.
func TestTheClientIsThePeerOfTheConnection(t *testing.T) {
	for name, test := range map[string]struct {
		trusted httpapi.Networks
		want    int
	}{
		"no trusted proxy":            {nil, 1},
		"another trusted proxy":       {httpapi.Networks{netip.MustParsePrefix("10.0.0.0/8")}, 1},
		"the peer is a trusted proxy": {httpapi.Networks{netip.MustParsePrefix("127.0.0.0/8")}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, databases["sqlite"](t), func(c *configuration) { c.ReadLimit, c.TrustedProxies = anHour(1), test.trusted })
			sent := []string{"192.0.2.1", "192.0.2.2", "192.0.2.9, 192.0.2.1", "2001:db8:0:1::1", "2001:db8:0:1::2", "nonsense", "192.0.2.1:1234", "[2001:db8:0:1::3]:443", "[2001:db8:0:1::4]", "192.0.2.9:1, 192.0.2.2:2"}
			require.Equal(t, test.want, admitted(len(sent), func(n int) *apitest.Answer {
				return s.Do(http.MethodGet, users, nil, "X-Forwarded-For", sent[n])
			}))
		})
	}
}

// TestCallersWithoutATokenAreLimitedByAddress: clients without a valid token use up the limit of their own
// address only.
func TestCallersWithoutATokenAreLimitedByAddress(t *testing.T) {
	is := apitest.NewIssuers(t, name, "users:lookup events:read")
	s := start(t, databases["sqlite"](t), func(c *configuration) {
		c.ReadLimit, c.TrustedProxies = anHour(2), httpapi.Networks{netip.MustParsePrefix("127.0.0.0/8")}
		c.AuthIssuers = is.Setting
	})
	for _, address := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		for _, want := range []int{http.StatusUnauthorized, http.StatusUnauthorized, http.StatusTooManyRequests} {
			s.Do(http.MethodGet, users, nil, "X-Forwarded-For", address, "Authorization", "Bearer nonsense").Want(want)
		}
	}
	s.Do(http.MethodGet, users, nil, "X-Forwarded-For", "192.0.2.1", "Authorization", is.Token(t, uuid.NewString(), "users:read")).Want(http.StatusOK)
}

// TestAProxysOwnHeaderLineCounts: a client can't choose its address with its own X-Forwarded-For
// if the proxy adds another header line.
func TestAProxysOwnHeaderLineCounts(t *testing.T) {
	s := start(t, databases["sqlite"](t), func(c *configuration) {
		c.ReadLimit, c.TrustedProxies = anHour(1), httpapi.Networks{netip.MustParsePrefix("127.0.0.0/8")}
	})
	require.Equal(t, 1, admitted(5, func(n int) *apitest.Answer {
		made := fmt.Sprint("192.0.2.", n)
		return s.Do(http.MethodGet, users, nil, "X-Forwarded-For", made, "X-Forwarded-For", "192.0.2.100")
	}))
}

// TestReplicasShareALimit: with a real Redis, three replicas share one limit. Without it,
// each one enforces its share.
func TestReplicasShareALimit(t *testing.T) {
	store := redis.Start(t)
	replicas := make([]*server, 3)
	for i := range replicas {
		replicas[i] = start(t, databases["sqlite"](t), func(c *configuration) {
			c.ReadLimit, c.LimitRedisURL, c.LimitReplicas = anHour(90), store.URL, len(replicas)
		})
	}
	send := func(n int) *apitest.Answer { return replicas[n%len(replicas)].Do(http.MethodGet, users, nil) }
	// A few at a time: a request that can't be counted in time is counted locally.
	manyAdmitted := func() int {
		sum := 0
		for range 50 {
			sum += admitted(2*len(replicas), send)
		}
		return sum
	}
	require.InDelta(t, 90, manyAdmitted(), 4)

	store.Kill()
	for _, s := range replicas {
		apitest.Eventually(t, "the replica reports Redis as down", func() bool { return s.app.Monitor.Report().Dependencies["rate-limits"] == health.Down })
		require.Equal(t, health.Degraded, s.app.Monitor.Report().Status)
	}
	alone := manyAdmitted()
	require.LessOrEqual(t, alone, 90, "30 each")
	require.InDelta(t, 90, alone, 4, "each replica admits its share, minus requests that it has counted already")

	store.Start() // with empty counts
	for _, s := range replicas {
		apitest.Eventually(t, "the replica reports Redis as up", func() bool { return s.app.Monitor.Report().Dependencies["rate-limits"] == health.Up })
	}
	apitest.Eventually(t, "Redis counts again", func() bool { return send(0).Status == http.StatusOK })
	require.InDelta(t, 90, 1+manyAdmitted(), 4)
}

// TestACallerMayTryOnlyAFewEmailAddresses: a caller may try only a few addresses to find out whether
// they are taken; other changes are not counted.
func TestACallerMayTryOnlyAFewEmailAddresses(t *testing.T) {
	eachWithTokens(t, func(t *testing.T, s *server, is *apitest.Issuers) {
		ada, bob := uuid.NewString(), uuid.NewString()
		send := func(subject, method, path string, body any, headers ...string) *apitest.Answer {
			return s.Do(method, path, body, append(headers, "Authorization", is.Token(t, subject, "users:write"))...)
		}
		taken := map[string]any{"email": "bob@example.com"}
		send(bob, http.MethodPost, users, person("bob@example.com")).Want(http.StatusCreated)
		made := send(ada, http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "k").Want(http.StatusCreated)
		uncounted := func() {
			path := users + "/" + ada
			send(ada, http.MethodPost, users, person("ada@example.com"), "Idempotency-Key", "k").Want(http.StatusCreated)
			send(ada, http.MethodPut, path, map[string]any{"name": uuid.NewString()}).Want(http.StatusOK)
			send(ada, http.MethodPatch, path, map[string]any{"email": made.Object()["email"], "age": nil}).Want(http.StatusOK)
			send(ada, http.MethodPatch, path, map[string]any{"email": "ADA@example.com"}).Want(http.StatusOK)
			send(ada, http.MethodPatch, path, map[string]any{"email": "bob"}).Want(http.StatusUnprocessableEntity)
			send(ada, http.MethodPatch, path, map[string]any{"email": "bob@example.com", "age": 1000}).Want(http.StatusUnprocessableEntity)
			send(ada, http.MethodPatch, path, taken, "If-Match", `"99"`).Want(http.StatusPreconditionFailed)
			send(ada, http.MethodPatch, users+"/"+bob, taken).Want(http.StatusNotFound)
		}
		uncounted()
		for i := range 4 { // creating was the first of five
			send(ada, []string{http.MethodPut, http.MethodPatch}[i%2], users+"/"+ada, taken).Want(http.StatusConflict)
		}
		for _, email := range []string{"bob@example.com", "nobody@example.com"} {
			for method, path := range map[string]string{http.MethodPut: users + "/" + ada, http.MethodPatch: users + "/" + ada, http.MethodPost: users} {
				refused := send(ada, method, path, person(email)).Want(http.StatusTooManyRequests)
				after, err := strconv.Atoi(refused.Header.Get("Retry-After"))
				require.NoError(t, err)
				require.InDelta(t, 720, after, 60, "five an hour")
				require.Contains(t, refused.Header.Values("RateLimit-Policy"), `"email";q=5;w=3600`)
			}
		}
		uncounted()

		// Other callers have their own limit, and creating a user counts, too.
		eve := uuid.NewString()
		for range 5 {
			send(eve, http.MethodPost, users, person("bob@example.com")).Want(http.StatusConflict)
		}
		send(eve, http.MethodPost, users, person("bob@example.com")).Want(http.StatusTooManyRequests)
		for range 10 { // a caller that reads all users can't find out more
			s.Do(http.MethodPatch, users+"/"+ada, taken, "Authorization", is.Token(t, eve, "admin")).Want(http.StatusConflict)
		}
	})
}

func TestAddressesAreNotCountedForReadersOfAll(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.Do(http.MethodPost, users, person("bob@example.com")).Want(http.StatusCreated)
		for range 10 {
			s.Do(http.MethodPost, users, person("bob@example.com")).Want(http.StatusConflict)
		}
	})
}

func TestReplicasCountEmailAddressesTogether(t *testing.T) {
	store, is := redis.Start(t), apitest.NewIssuers(t, name, "users:lookup events:read")
	address := databases["sqlite"](t)
	replicas := make([]*server, 2)
	for i := range replicas {
		replicas[i] = start(t, address, func(c *configuration) { c.AuthIssuers, c.LimitRedisURL = is.Setting, store.URL })
	}
	replicas[0].Do(http.MethodPost, users, person("bob@example.com"), "Authorization", is.Token(t, uuid.NewString(), "admin")).Want(http.StatusCreated)
	eve := is.Token(t, uuid.NewString(), "users:write")
	for i := range 7 {
		want := http.StatusConflict
		if i >= 5 {
			want = http.StatusTooManyRequests
		}
		replicas[i%2].Do(http.MethodPost, users, person("bob@example.com"), "Authorization", eve).Want(want)
	}
}
