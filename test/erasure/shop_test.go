package erasure

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver

	"github.com/example/microservices/internal/testkit/apitest"
	"github.com/example/microservices/internal/testkit/gate"
	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

// kinds are the databases that each test runs on.
var kinds = []string{"sqlite", "postgres"}

// database is a service's database.
type database struct {
	kind string
	// url is the service's DATABASE_URL, which leads through gate on PostgreSQL.
	url  string
	gate *gate.Gate
	*sql.DB
	// schema is the prefix of table names.
	schema string
	// folder has only the SQLite file.
	folder string
}

// newDatabase returns an empty database, on the server if it isn't nil.
func newDatabase(t *testing.T, kind, service string, server *postgres.Server) *database {
	t.Helper()
	d := &database{kind: kind}
	var driver, name string
	if kind == "sqlite" {
		d.folder = t.TempDir()
		driver, name = "sqlite", filepath.Join(d.folder, service+".db")
		d.url = "sqlite://" + name
		name += "?_pragma=busy_timeout(10000)"
	} else {
		driver, name = "pgx", newPostgres(t, server)
		d.schema = strings.ReplaceAll(service, "-", "_") + "."
		address, err := url.Parse(name)
		require.NoError(t, err)
		d.gate = gate.New(t, address.Host)
		address.Host = d.gate.Address
		d.url = address.String()
	}
	var err error
	d.DB, err = sql.Open(driver, name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func newPostgres(t *testing.T, server *postgres.Server) string {
	if server == nil {
		return postgres.New(t)
	}
	return server.New(t)
}

// one returns the only value of a query's only row. In the query, {} is the schema's prefix,
// and ? a value.
func (d *database) one(t *testing.T, query string, values ...any) (n int64) {
	t.Helper()
	require.NoError(t, d.QueryRowContext(t.Context(), d.in(query), values...).Scan(&n), query)
	return n
}

func (d *database) exec(t *testing.T, statement string, values ...any) {
	t.Helper()
	_, err := d.ExecContext(t.Context(), d.in(statement), values...)
	require.NoError(t, err, statement)
}

func (d *database) in(query string) string {
	query = strings.ReplaceAll(query, "{}", d.schema)
	for i := 1; d.kind == "postgres" && strings.Contains(query, "?"); i++ {
		query = strings.Replace(query, "?", fmt.Sprint("$", i), 1)
	}
	return query
}

// service is a service that restarts on the same port.
type service struct {
	name string
	env  []string
	*process.Process
}

func (s *service) start(t *testing.T) {
	t.Helper()
	s.Process = process.Start(t, process.Build(t, s.name), s.env...)
	s.env = append(s.env, "PORT="+s.Port())
}

// shop is both services and their databases.
type shop struct {
	kind             string
	users, orders    *service
	usersDB, orderDB *database
	// feed is the gate between order-service and user-service.
	feed   *gate.Gate
	client *http.Client
}

// open starts both services.
func open(t *testing.T, kind string) *shop {
	t.Helper()
	return openOn(t, kind, nil)
}

// openOn starts both services, on the server if it isn't nil, with more variables.
func openOn(t *testing.T, kind string, server *postgres.Server, env ...string) *shop {
	t.Helper()
	s := &shop{kind: kind, usersDB: newDatabase(t, kind, "user-service", server), orderDB: newDatabase(t, kind, "order-service", server)}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: time.Minute}
	t.Cleanup(s.client.CloseIdleConnections)
	s.users = &service{name: "user-service", env: append([]string{"DATABASE_URL=" + s.usersDB.url, "RATE_LIMIT_EMAIL=0", "SHUTDOWN_DELAY=0s"}, env...)}
	s.users.start(t)
	s.feed = gate.New(t, s.users.Address)
	s.orders = &service{name: "order-service", env: append([]string{
		"DATABASE_URL=" + s.orderDB.url, "USER_SERVICE_URL=http://" + s.feed.Address, "USER_CLIENT_BREAKER_OPEN=100ms", "SHUTDOWN_DELAY=0s",
	}, env...)}
	s.orders.start(t)
	return s
}

func (s *shop) usersURL() string  { return s.users.URL + "/api/v1/users" }
func (s *shop) ordersURL() string { return s.orders.URL + "/api/v1/orders" }

// do sends a request, and returns the status and the body. Without an answer, the status is 0.
func (s *shop) do(method, address, body string, headers ...string) (int, []byte) {
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, read
}

// want sends a request, requires a status, and returns the body.
func (s *shop) want(t *testing.T, status int, method, address, body string, headers ...string) []byte {
	t.Helper()
	got, answer := s.do(method, address, body, headers...)
	require.Equal(t, status, got, "%s %s: %s", method, address, answer)
	return answer
}

func idOf(t *testing.T, answer []byte) string {
	t.Helper()
	var row struct{ ID string }
	require.NoError(t, json.Unmarshal(answer, &row), "%s", answer)
	require.NotEmpty(t, row.ID)
	return row.ID
}

func person(name, email string) string { return fmt.Sprintf(`{"name":%q,"email":%q}`, name, email) }

func orderOf(user, address string) string {
	return fmt.Sprintf(`{"user_id":%q,"shipping_address":%q,"items":[{"product_id":"p","product_name":"P","quantity":1,"price":0.1}]}`, user, address)
}

// waitComplete waits until user-service reports a user's erasure as complete.
func (s *shop) waitComplete(t *testing.T, user string) {
	t.Helper()
	apitest.Eventually(t, "the erasure is complete", func() bool {
		status, body := s.do(http.MethodGet, s.usersURL()+"/"+user+"/erasure", "")
		return status == http.StatusOK && bytes.Contains(body, []byte(`"complete":true`))
	})
}

// order is an order as clients read it.
type order struct {
	ID, Status      string
	ShippingAddress *string    `json:"shipping_address"`
	ErasedAt        *time.Time `json:"erased_at"`
}

// list reads all pages of a list.
func list[T any](t *testing.T, s *shop, address string) (all []T) {
	t.Helper()
	next := ""
	for {
		var p struct {
			Items      []T
			NextCursor string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal(s.want(t, http.StatusOK, http.MethodGet, address+"?limit=100"+next, ""), &p))
		all = append(all, p.Items...)
		if p.NextCursor == "" {
			return all
		}
		next = "&cursor=" + p.NextCursor
	}
}

// requireErased requires that a user's orders are erased, and that each was erased once:
// versions has each order's version before, and the erasure adds 1.
func (s *shop) requireErased(t *testing.T, user string, versions map[string]int) {
	t.Helper()
	orders := list[order](t, s, s.ordersURL()+"/user/"+user)
	require.Len(t, orders, len(versions))
	for i, o := range orders {
		require.NotContains(t, []string{"pending", "confirmed"}, o.Status)
		require.Nil(t, o.ShippingAddress)
		require.NotNil(t, o.ErasedAt)
		if i%50 != 0 { // one in 50 is enough; the queries below check all
			continue
		}
		type change struct {
			Version int
			By      string
		}
		history := list[change](t, s, s.ordersURL()+"/"+o.ID+"/events")
		require.Len(t, history, versions[o.ID]+1, "%v", history)
		for i, h := range history {
			require.Equal(t, versions[o.ID]+1-i, h.Version, "%v", history)
			require.Equal(t, i == 0, h.By == "erasure", "%v", history)
		}
	}
	requireCount := func(want int, d *database, query string) {
		t.Helper()
		require.EqualValues(t, want, d.one(t, query, user), query)
	}
	const ofUser = " WHERE subject IN (SELECT id FROM {}orders WHERE user_id = ?)"
	requireCount(0, s.orderDB, "SELECT count(*) FROM {}orders WHERE user_id = ? AND (erased_at IS NULL OR shipping_address <> '-' OR status IN ('pending', 'confirmed'))")
	requireCount(0, s.orderDB, "SELECT count(*) FROM {}idempotency_keys WHERE substr(location, length(location) - 35) IN (SELECT "+s.orderDB.text("id")+" FROM {}orders WHERE user_id = ?)")
	requireCount(len(versions), s.orderDB, "SELECT count(*) FROM {}events"+ofUser+" AND "+s.orderDB.text("data")+" LIKE '%erasure%'")
	total := len(versions)
	for _, v := range versions {
		total += v
	}
	requireCount(total, s.orderDB, "SELECT count(*) FROM {}events"+ofUser)
	requireCount(1, s.orderDB, "SELECT count(*) FROM {}erased_users WHERE user_id = ?")
	requireCount(1, s.usersDB, "SELECT count(*) FROM {}events WHERE subject = ? AND type = 'deleted'")
	requireCount(0, s.usersDB, "SELECT count(*) FROM {}users WHERE id = ?")
	requireCount(0, s.usersDB, "SELECT count(*) FROM {}idempotency_keys WHERE substr(location, length(location) - 35) = ?")
}

// text returns an expression that is a column as text.
func (d *database) text(column string) string { return "CAST(" + column + " AS text)" }
