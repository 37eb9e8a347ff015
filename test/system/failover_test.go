package system

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/test/postgres"
	"github.com/example/microservices/test/process"
)

const (
	failoverClients = 16
	failoverPace    = 5 * time.Millisecond // between two writes
	failoverWrites  = 400                  // before it, and again after it
	failoverLimit   = time.Minute
)

// pair is a primary and a standby that has all that the primary acknowledged: the
// replication is synchronous. Without that, a failover may lose writes whatever a
// service does.
type pair struct{ primary, standby *postgres.Server }

func newPair(t *testing.T) pair {
	primary, err := postgres.Start(t.Context(), postgres.Options{NoFsync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, primary.Stop()) })
	standby, err := primary.Standby(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Stop()) })
	administer(t, primary,
		"ALTER SYSTEM SET synchronous_standby_names = '*'",
		"ALTER SYSTEM SET synchronous_commit = on",
		"SELECT pg_reload_conf()",
		"CREATE DATABASE users")
	return pair{primary, standby}
}

func (p pair) promote(t *testing.T) {
	administer(t, p.standby, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_promote()", "SELECT pg_reload_conf()")
}

func administer(t *testing.T, server *postgres.Server, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	for _, statement := range statements {
		_, err = conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// TestNothingIsLostOrDoubledByAFailover writes all the time, with keys that are sent
// again until they are acknowledged, while a standby takes the primary's place.
func TestNothingIsLostOrDoubledByAFailover(t *testing.T) {
	t.Run("the primary dies, and the address has both hosts", func(t *testing.T) {
		t.Parallel()
		servers := newPair(t)
		address := fmt.Sprintf("postgres://postgres@%s,%s/users?sslmode=disable&target_session_attrs=read-write", servers.standby.Addr(), servers.primary.Addr())
		load := startLoad(t, address)
		load.failover(t, func() {
			require.NoError(t, servers.primary.Kill())
			servers.promote(t)
		})
	})
	t.Run("the primary is read-only, and the address leads to the other one", func(t *testing.T) {
		t.Parallel()
		servers := newPair(t)
		address := newSwitch(t, servers.primary.Addr())
		load := startLoad(t, fmt.Sprintf("postgres://postgres@%s/users?sslmode=disable", address.listener.Addr()))
		load.failover(t, func() {
			administer(t, servers.primary, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
			require.Eventually(t, func() bool {
				return strings.Contains(load.get(t, "/health/ready"), `"database":"degraded"`)
			}, failoverLimit, failoverPace)
			require.Contains(t, load.get(t, "/api/v1/users?limit=1"), `"items"`, "it can be read")
			servers.promote(t)
			address.lead(servers.standby.Addr()) // connections that are open stay where they are
		})
		require.Eventually(t, func() bool {
			return strings.Contains(load.get(t, "/health/ready"), `"database":"up"`)
		}, failoverLimit, failoverPace)
		require.NoError(t, servers.primary.Stop())
		require.NotNil(t, write(load.client, load.url, -1, `{"name":"Ada","email":"last@example.com"}`), "nothing hung on it any more")
	})
}

// load is a service under writes.
type load struct {
	*process.Process
	client *http.Client
	url    string

	wanted       atomic.Int64 // how many acknowledged writes end it; 0: none yet
	acknowledged atomic.Int64
	done         sync.WaitGroup

	mu     sync.Mutex
	keys   map[int64]string // of what was acknowledged: the id
	seen   map[string]int   // of each answer, how many there were
	last   time.Time        // that one was acknowledged
	outage time.Duration    // the longest time without one
}

// startLoad starts a service and writes, and returns once enough is acknowledged.
func startLoad(t *testing.T, address string) *load {
	service := process.Start(t, process.Build(t, "user-service"), "DATABASE_URL="+address)
	l := &load{Process: service, client: httpClient(t), url: service.URL + "/api/v1/users", keys: map[int64]string{}, seen: map[string]int{}}
	pace := time.NewTicker(failoverPace)
	t.Cleanup(pace.Stop)
	enough := make(chan struct{})
	var key atomic.Int64
	for range failoverClients {
		l.done.Go(func() {
			for wanted := int64(0); wanted == 0 || l.acknowledged.Load() < wanted; wanted = l.wanted.Load() {
				i := key.Add(1)
				for !l.write(i) {
					<-pace.C
				}
				if l.acknowledged.Add(1) == failoverWrites {
					close(enough)
				}
				<-pace.C
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(failoverLimit):
		require.Fail(t, "writes are not acknowledged", "%v", l.seen)
	}
	return l
}

// write sends a write once, and says whether it was acknowledged.
func (l *load) write(i int64) bool {
	status, id := l.post(i)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[status]++
	if id == "" {
		return false
	}
	now := time.Now()
	if !l.last.IsZero() {
		l.outage = max(l.outage, now.Sub(l.last))
	}
	l.last = now
	l.keys[i] = id
	return true
}

func (l *load) post(i int64) (status, id string) {
	request, err := http.NewRequest(http.MethodPost, l.url, strings.NewReader(fmt.Sprintf(`{"name":"Ada","email":"ada%d@example.com"}`, i)))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", fmt.Sprintf("failover-%d", i))
	response, err := l.client.Do(request)
	if err != nil {
		return err.Error(), ""
	}
	defer response.Body.Close()
	var created struct{ ID string }
	err = json.NewDecoder(response.Body).Decode(&created)
	if err != nil || response.StatusCode != http.StatusCreated {
		return response.Status, ""
	}
	return response.Status, created.ID
}

// failover lets do happen, and holds what was acknowledged against what is there
// afterwards.
func (l *load) failover(t *testing.T, do func()) {
	before, began := l.acknowledged.Load(), time.Now()
	do()
	promoted := time.Since(began)
	l.wanted.Store(l.acknowledged.Load() + failoverWrites)
	ended := make(chan struct{})
	go func() { l.done.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(failoverLimit):
		require.Fail(t, "writes don't work again", "%v", l.seen)
	}
	t.Logf("%.2f s without a write; the standby was promoted after %.2f s", l.outage.Seconds(), promoted.Seconds())

	rows := readAll(t, l.client, l.url)
	lost, doubled := 0, 0
	for _, id := range l.keys {
		switch {
		case rows[id] == 0:
			lost++
		case rows[id] > 1:
			doubled++
		}
	}
	t.Logf("%d acknowledged (%d before it), %d rows, %d lost, %d doubled; answers: %v", len(l.keys), before, len(rows), lost, doubled, l.seen)
	require.Zero(t, lost)
	require.Zero(t, doubled)
	require.Len(t, rows, len(l.keys), "one for each key")
	require.Subset(t, []string{"201 Created", "503 Service Unavailable"}, slices.Collect(maps.Keys(l.seen)))
}

func (l *load) get(t *testing.T, path string) string {
	response, err := l.client.Get(l.URL + path)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// switchable is an address that leads to one server or another, as a name or a
// virtual address does: what is connected stays so.
type switchable struct {
	listener net.Listener
	target   atomic.Pointer[string]
}

func newSwitch(t *testing.T, target string) *switchable {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &switchable{listener: listener}
	s.lead(target)
	var ends sync.WaitGroup
	ends.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(context.Background(), "tcp", *s.target.Load())
			if err != nil {
				near.Close()
				continue
			}
			both := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				to.Close()
				from.Close()
			}
			ends.Go(func() { both(near, far) })
			ends.Go(func() { both(far, near) })
		}
	})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		ends.Wait()
	})
	return s
}

func (s *switchable) lead(target string) { s.target.Store(&target) }
