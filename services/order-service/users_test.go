package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/process"
)

// ownUserService is a user-service for one test only, which may stop it.
func ownUserService(t *testing.T) (*process.Process, []string) {
	env := []string{"DATABASE_URL=sqlite://" + filepath.Join(t.TempDir(), "users.db")}
	return process.Start(t, process.Build(t, "user-service"), env...), env
}

// TestUserServiceIsKilledAndComesBack: without user-service no order is created, existing
// ones can be read and changed, and the service recovers by itself.
func TestUserServiceIsKilledAndComesBack(t *testing.T) {
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			users, env := ownUserService(t)
			user := process.CreateUser(t, users)
			s := start(t, address(t), func(c *configuration) {
				c.UserClient.URL = users.URL
				c.UserClient.CacheTTL = 0
				c.UserClient.BreakerOpen = 200 * time.Millisecond
			})
			s.user = user
			ready := func(status int) func() bool {
				return func() bool { return s.Do(http.MethodGet, "/health/ready", nil).Status == status }
			}
			apitest.Eventually(t, "ready", ready(http.StatusOK))
			id := s.Do(http.MethodPost, orders, s.order(), "Idempotency-Key", "before").Want(http.StatusCreated).ID()

			users.Kill()
			apitest.Eventually(t, "the breaker opens", func() bool {
				s.Do(http.MethodPost, orders, s.order()).Want(http.StatusServiceUnavailable)
				return strings.Contains(s.metrics(t), `user_client_breaker_state{state="open"} 1`)
			})
			apitest.Eventually(t, "not ready", ready(http.StatusServiceUnavailable))
			s.Do(http.MethodGet, orders+"/"+id, nil).Want(http.StatusOK)
			s.Do(http.MethodGet, orders, nil).Want(http.StatusOK)
			s.Do(http.MethodPatch, orders+"/"+id, `{"status":"confirmed"}`).Want(http.StatusOK)
			replayed := s.Do(http.MethodPost, orders, s.order(), "Idempotency-Key", "before").Want(http.StatusCreated)
			require.Equal(t, id, replayed.ID(), "a replay needs no user-service")

			process.Start(t, process.Build(t, "user-service"), append(env, "PORT="+users.Port())...)
			apitest.Eventually(t, "orders are created again", func() bool {
				return s.Do(http.MethodPost, orders, s.order(), "Idempotency-Key", "after").Status == http.StatusCreated
			})
			apitest.Eventually(t, "ready again", ready(http.StatusOK))
			require.Len(t, s.Do(http.MethodGet, orders, nil).Object()["items"], 2)
		})
	}
}

// TestABrokenNetworkToUserService injects network faults between order-service and a
// healthy user-service.
func TestABrokenNetworkToUserService(t *testing.T) {
	for name, toxic := range map[string]string{
		"hung":         `{"name":"x","type":"timeout","attributes":{"timeout":0}}`,
		"slow":         `{"name":"x","type":"latency","attributes":{"latency":60000}}`,
		"resetting":    `{"name":"x","type":"reset_peer","attributes":{"timeout":0}}`,
		"breaking off": `{"name":"x","type":"limit_data","attributes":{"bytes":100}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			users, err := userService()
			require.NoError(t, err)
			control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
			proxy := toxiproxy.NewProxy(control, "user-service", "127.0.0.1:0", users.Address)
			require.NoError(t, proxy.Start())
			t.Cleanup(proxy.Stop)
			s := start(t, databases["sqlite"](t), func(c *configuration) {
				c.UserClient.URL = "http://" + proxy.Listen
				c.UserClient.Timeout, c.UserClient.TryTimeout = 300*time.Millisecond, 100*time.Millisecond
				c.UserClient.CacheTTL = 0
				c.UserClient.BreakerOpen = 200 * time.Millisecond
			})
			id := s.create().ID()

			_, err = proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
			require.NoError(t, err)
			apitest.Eventually(t, "the breaker opens", func() bool {
				s.Do(http.MethodPost, orders, s.order()).Want(http.StatusServiceUnavailable)
				return strings.Contains(s.metrics(t), `user_client_breaker_state{state="open"} 1`)
			})
			s.Do(http.MethodGet, orders+"/"+id, nil).Want(http.StatusOK)

			require.NoError(t, proxy.Toxics.RemoveToxic(t.Context(), "x"))
			apitest.Eventually(t, "orders are created again", func() bool {
				return s.Do(http.MethodPost, orders, s.order()).Status == http.StatusCreated
			})
			require.Len(t, s.Do(http.MethodGet, orders, nil).Object()["items"], 2, "no order was created during the fault")
		})
	}
}

func (s *server) metrics(t *testing.T) string {
	response, err := http.Get("http://" + s.Address + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(b)
}

// TestAWrongPathToUserServiceIsNotAnUnknownUser: a misconfigured URL is not the client's
// fault.
func TestAWrongPathToUserServiceIsNotAnUnknownUser(t *testing.T) {
	s := start(t, databases["sqlite"](t), func(c *configuration) { c.UserClient.URL += "/v2" })
	s.Do(http.MethodPost, orders, s.order()).Want(http.StatusServiceUnavailable)
}

func TestReadinessMayBeDegraded(t *testing.T) {
	users, _ := ownUserService(t)
	s := start(t, databases["sqlite"](t), func(c *configuration) {
		c.UserClient.URL = users.URL
		c.ReadinessUserService = "degraded"
	})
	is := func(report string) func() bool {
		return func() bool {
			return string(s.Do(http.MethodGet, "/health/ready", nil).Want(http.StatusOK).Body) == report
		}
	}
	apitest.Eventually(t, "it is ready", func() bool { return s.Do(http.MethodGet, "/health/ready", nil).Status == http.StatusOK })
	apitest.Eventually(t, "all is up", is(`{"status":"ready","dependencies":{"database":"up","user-service":"up"}}`))
	users.Kill()
	apitest.Eventually(t, "user-service is down", is(`{"status":"degraded","dependencies":{"database":"up","user-service":"down"}}`))
	s.Do(http.MethodGet, "/health/live", nil).Want(http.StatusOK)
}

// gate is a fake user-service that has every user, but delays responses until it is opened.
// A real one can't be stopped at exactly that point.
type gate struct {
	URL           string
	arrived, open chan struct{}
}

func newGate(t *testing.T) *gate {
	g := &gate{arrived: make(chan struct{}, 10), open: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, asked := strings.CutPrefix(r.URL.Path, "/api/v1/users/")
		switch {
		case strings.HasPrefix(id, "events"): // there are none
			w.WriteHeader(http.StatusNotFound)
		case asked:
			g.arrived <- struct{}{}
			<-g.open
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":"`+id+`"}`)
		}
	}))
	t.Cleanup(server.Close)
	g.URL = server.URL
	return g
}
