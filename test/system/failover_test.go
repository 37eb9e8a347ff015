package system

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/postgres"
	"github.com/example/microservices/internal/testkit/process"
)

const (
	failoverClients = 16
	failoverPace    = 5 * time.Millisecond // between two writes
	failoverWrites  = 400                  // before the failover, and again after it
	failoverLimit   = time.Minute
)

// TestNothingIsLostOrDoubledByAFailover writes without a pause, and repeats each key until it
// is acknowledged, while a standby is promoted.
func TestNothingIsLostOrDoubledByAFailover(t *testing.T) {
	t.Run("the primary is killed, and the address has both hosts", func(t *testing.T) {
		t.Parallel()
		servers := postgres.NewPair(t, "users")
		address := fmt.Sprintf("postgres://postgres@%s,%s/users?sslmode=disable&target_session_attrs=read-write", servers.Standby.Addr(), servers.Primary.Addr())
		load := startLoad(t, address)
		load.failover(t, func() {
			require.NoError(t, servers.Primary.Kill())
			servers.Promote(t)
		})
	})
	t.Run("the primary becomes read-only, and the address then leads to the standby", func(t *testing.T) {
		t.Parallel()
		servers := postgres.NewPair(t, "users")
		address := postgres.NewSwitch(t, "127.0.0.1", servers.Primary.Addr())
		load := startLoad(t, fmt.Sprintf("postgres://postgres@%s/users?sslmode=disable", address.Address))
		load.failover(t, func() {
			servers.ReadOnly(t)
			require.Eventually(t, func() bool {
				return strings.Contains(load.get(t, "/health/ready"), `"database":"degraded"`)
			}, failoverLimit, failoverPace)
			require.Contains(t, load.get(t, "/api/v1/users?limit=1"), `"items"`, "reads still work")
			servers.Promote(t)
			address.Lead(servers.Standby.Addr()) // open connections stay with the old primary
		})
		require.Eventually(t, func() bool {
			return strings.Contains(load.get(t, "/health/ready"), `"database":"up"`)
		}, failoverLimit, failoverPace)
		require.NoError(t, servers.Primary.Stop())
		require.NotNil(t, write(load.client, load.url, -1, `{"name":"Ada","email":"last@example.com"}`), "a connection to the old primary is still used")
	})
}

// load writes to a service all the time.
type load struct {
	*process.Process
	client *http.Client
	url    string

	wanted       atomic.Int64 // the number of acknowledged writes after which it ends; 0: not yet known
	acknowledged atomic.Int64
	done         sync.WaitGroup

	mu     sync.Mutex
	keys   map[int64]string // the ids of acknowledged keys
	seen   map[string]int   // the number of answers of each kind
	last   time.Time        // the time of the last acknowledgement
	outage time.Duration    // the longest time without one
}

// startLoad starts a service and writes to it. It returns after failoverWrites writes.
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

// write sends a write once, and reports whether it was acknowledged.
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

// failover calls do, and then compares the acknowledged writes with the rows.
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
	require.Len(t, rows, len(l.keys), "there must be one row per key")
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
