package dashboards

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/collector"
	"github.com/example/microservices/internal/testkit/issuer"
	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
	"github.com/example/microservices/internal/testkit/prometheus"
)

// scene is both services on PostgreSQL, with tokens required, and a Prometheus that scrapes
// them.
type scene struct {
	t             *testing.T
	client        *http.Client
	issuer        *issuer.Issuer
	users, orders *process.Process
	usersEnv      []string
	prometheus    *prometheus.Server
	collector     *collector.Collector
	from, until   time.Time
}

const scopes = "users:read users:write orders:read orders:write orders:fulfil"

// newScene starts everything.
func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, from: time.Now()}
	var err error
	s.issuer, err = issuer.New()
	require.NoError(t, err)
	keys := httptest.NewServer(s.issuer)
	t.Cleanup(keys.Close)
	tokenFile := filepath.Join(t.TempDir(), "token")
	require.NoError(t, issuer.WriteToken(tokenFile, s.token("order-service", "users:lookup events:read")))

	s.collector = collector.Start(t)
	common := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + s.collector.URL, "GOMEMLIMIT=230MiB", "RATE_LIMIT_READ=100/s:200", "RATE_LIMIT_WRITE=1000/s", "CONCURRENCY_LIMIT=20:500", "AUTH_REQUIRED=true"}
	s.usersEnv = append([]string{"DATABASE_URL=" + postgres.New(t), "AUTH_ISSUERS=" + s.issuer.Setting("user-service", keys.URL)}, common...)
	s.users = process.Start(t, process.Build(t, "user-service"), s.usersEnv...)
	s.orders = process.Start(t, process.Build(t, "order-service"), append([]string{
		"DATABASE_URL=" + postgres.New(t), "AUTH_ISSUERS=" + s.issuer.Setting("order-service", keys.URL),
		"USER_SERVICE_URL=" + s.users.URL, "USER_CLIENT_TOKEN_FILE=" + tokenFile, "USER_CLIENT_BREAKER_OPEN=1s",
	}, common...)...)
	s.prometheus = prometheus.Start(t, root, s.configuration())
	s.scraped(0)
	return s
}

// configuration returns Compose's configuration of Prometheus, with the addresses of these
// services and a shorter interval.
func (s *scene) configuration() string {
	content, err := os.ReadFile(root + "/internal/observe/prometheus.yaml")
	require.NoError(s.t, err)
	text := string(content)
	for compose, here := range map[string]string{
		"user-service:8000": s.users.Address, "order-service:8001": s.orders.Address,
		"scrape_interval: 5s": "scrape_interval: 1s", "scrape_timeout: 3s": "scrape_timeout: 1s",
	} {
		require.Equal(s.t, 1, strings.Count(text, compose), compose)
		text = strings.Replace(text, compose, here, 1)
	}
	file := filepath.Join(s.t.TempDir(), "prometheus.yaml")
	require.NoError(s.t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func (s *scene) token(subject, scopes string) string {
	token, err := s.issuer.Token([]string{"user-service", "order-service"}, subject, scopes)
	require.NoError(s.t, err)
	return token
}

// play puts load and faults on the services.
func (s *scene) play() {
	admin := s.token("shop", scopes+" admin")
	user := s.work(admin)

	// One caller exceeds its rate limit.
	greedy := s.token("greedy", scopes)
	for _, url := range []string{s.users.URL + "/api/v1/users", s.orders.URL + "/api/v1/orders"} {
		apitest.Eventually(s.t, "a caller exceeds the limit", func() bool {
			status, _ := s.send(http.MethodGet, url, greedy, "", "")
			return status == http.StatusTooManyRequests
		})
		// An invalid token.
		status, _ := s.send(http.MethodGet, url, "nonsense", "", "")
		require.Equal(s.t, http.StatusUnauthorized, status)
	}

	// user-service is down until the retry budget is used up and the breaker opens. Without
	// successes in its window, the breaker could open first.
	for range 30 {
		status, _ := s.send(http.MethodPost, s.orders.URL+"/api/v1/orders", admin, "", order(uuid.NewString()))
		require.Equal(s.t, http.StatusUnprocessableEntity, status)
	}
	s.users.Kill()
	seen := func(query string) bool { return len(s.ask(query)) > 0 }
	apitest.Eventually(s.t, "Prometheus sees the breaker open", func() bool {
		var all sync.WaitGroup
		for range 8 { // sequential requests may be too few for the breaker
			all.Go(func() {
				status, answer := s.send(http.MethodPost, s.orders.URL+"/api/v1/orders", admin, uuid.NewString(), order(uuid.NewString()))
				if status != http.StatusServiceUnavailable {
					s.t.Errorf("%d: %s", status, answer)
				}
			})
		}
		all.Wait()
		// At any time: on a slow machine they need not be true at once.
		return seen(`max_over_time(user_client_breaker_state{state="open"}[5m]) == 1`) && seen(`user_client_retries_denied_total > 0`) &&
			seen(`min_over_time(service_dependency_up{dependency="user-service"}[5m]) == 0`) && seen(`min_over_time(up[5m]) == 0`)
	})
	s.users = process.Start(s.t, process.Build(s.t, "user-service"), append(s.usersEnv, "PORT="+s.users.Port())...)
	apitest.Eventually(s.t, "orders are created again", func() bool {
		status, _ := s.send(http.MethodPost, s.orders.URL+"/api/v1/orders", admin, uuid.NewString(), order(user))
		return status == http.StatusCreated
	})
	s.work(admin)
	s.until = s.scraped(3)
}

// work sends ordinary requests, some of which are rejected. It returns a user.
func (s *scene) work(token string) (user string) {
	users, orders := s.users.URL+"/api/v1/users", s.orders.URL+"/api/v1/orders"
	tick := time.NewTicker(100 * time.Millisecond) // within the limits of one caller
	defer tick.Stop()
	for range 80 {
		<-tick.C
		key := uuid.NewString()
		person := fmt.Sprintf(`{"name":"Ada Lovelace","email":"%s@example.com"}`, key)
		for range 2 { // the second one is replayed
			user = s.created(users, token, key, person)
		}
		status, _ := s.send(http.MethodPost, users, token, key, `{"name":"Someone Else","email":"else@example.com"}`)
		require.Equal(s.t, http.StatusUnprocessableEntity, status, "a key belongs to one request")
		var id string
		for range 2 {
			id = s.created(orders, token, key, order(user))
		}
		for _, r := range []struct {
			method, url, body string
			status            int
		}{
			{http.MethodGet, users, "", http.StatusOK},
			{http.MethodGet, users + "/" + user, "", http.StatusOK},
			{http.MethodGet, users + "/" + uuid.NewString(), "", http.StatusNotFound},
			{http.MethodGet, orders + "/user/" + user, "", http.StatusOK},
			{http.MethodPatch, orders + "/" + id, `{"status":"confirmed"}`, http.StatusOK},
			{http.MethodPatch, orders + "/" + id, `{"status":"delivered"}`, http.StatusConflict},
			{http.MethodPost, orders, order(uuid.NewString()), http.StatusUnprocessableEntity},
		} {
			status, body := s.send(r.method, r.url, token, "", r.body)
			require.Equal(s.t, r.status, status, "%s %s: %s", r.method, r.url, body)
		}
	}
	return user
}

func order(user string) string {
	return fmt.Sprintf(`{"user_id":%q,"shipping_address":"12 St James Square","items":[{"product_id":"p","product_name":"P","quantity":1,"price":1}]}`, user)
}

// created creates a resource, and returns its id.
func (s *scene) created(url, token, key, body string) string {
	status, answer := s.send(http.MethodPost, url, token, key, body)
	require.Equal(s.t, http.StatusCreated, status, "%s", answer)
	var made struct{ ID string }
	require.NoError(s.t, json.Unmarshal(answer, &made))
	return made.ID
}

// send sends a request, with an Idempotency-Key unless that is empty.
func (s *scene) send(method, url, token, key, body string) (int, []byte) {
	request, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	require.NoError(s.t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := s.client.Do(request)
	require.NoError(s.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response.StatusCode, answer
}

// ask returns the newest values of a query.
func (s *scene) ask(query string) model.Vector {
	value, _, _, err := s.prometheus.Query(s.t.Context(), query, time.Now())
	require.NoError(s.t, err, query)
	vector, ok := value.(model.Vector)
	require.True(s.t, ok, query)
	return vector
}

// scraped waits until each service has been scraped once from now on, and then n times more. It
// returns the time of the last scrape.
func (s *scene) scraped(n int) time.Time {
	s.t.Helper()
	from := model.Now()
	apitest.Eventually(s.t, "Prometheus has scraped both services", func() bool {
		value, _, _, err := s.prometheus.Query(s.t.Context(), fmt.Sprintf(`count(timestamp(up == 1) > %v)`, float64(from)/1000+float64(n)), time.Now())
		vector, ok := value.(model.Vector)
		return err == nil && ok && len(vector) == 1 && vector[0].Value == 2
	})
	return time.Now()
}
