package system

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
)

const (
	crashWrites  = 5000
	crashClients = 16
)

// TestNothingIsLostOrDoubledByACrash kills a service with SIGKILL in the middle of 5,000
// writes with idempotency keys, starts it again, and sends every key again. Acknowledged
// keys get the same answer, byte for byte, and in the end each key has exactly one row.
func TestNothingIsLostOrDoubledByACrash(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for kind, address := range databases {
		t.Run("users, user-service killed, "+kind, func(t *testing.T) {
			t.Parallel()
			users := []string{"DATABASE_URL=" + address(t)}
			victim := &restartable{binary: process.Build(t, "user-service"), env: users}
			victim.start(t)
			crash(t, seed, victim, victim.url()+"/api/v1/users", func(i int) string {
				return fmt.Sprintf(`{"name":"Ada","email":"ada%d@example.com"}`, i)
			})
		})
		for _, killed := range []string{"order-service", "user-service"} {
			t.Run("orders, "+killed+" killed, "+kind, func(t *testing.T) {
				t.Parallel()
				users := &restartable{binary: process.Build(t, "user-service"), env: []string{"DATABASE_URL=" + databases[kind](t)}}
				users.start(t)
				user := process.CreateUser(t, users.process)
				orders := &restartable{binary: process.Build(t, "order-service"), env: []string{
					"DATABASE_URL=" + address(t), "USER_SERVICE_URL=" + users.url(),
					"USER_CLIENT_CACHE_TTL=1ms", "USER_CLIENT_BREAKER_OPEN=100ms",
				}}
				orders.start(t)
				victim := map[string]*restartable{"order-service": orders, "user-service": users}[killed]
				crash(t, seed, victim, orders.url()+"/api/v1/orders", func(i int) string {
					return fmt.Sprintf(`{"user_id":%q,"shipping_address":"%d","items":[{"product_id":"p","product_name":"P","quantity":1,"price":0.1}]}`, user, i)
				})
			})
		}
	}
}

// restartable is a service that restarts on the same port.
type restartable struct {
	binary  string
	env     []string
	process *process.Process
}

func (r *restartable) start(t *testing.T) {
	r.process = process.Start(t, r.binary, r.env...)
	r.env = append(r.env, "PORT="+r.process.Port())
}

func (r *restartable) url() string { return r.process.URL }

// httpClient returns a client whose connections are closed after the test.
func httpClient(t *testing.T) *http.Client {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crashClients}, Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// answer is the answer to an acknowledged write.
type answer struct {
	body     []byte
	replayed bool
}

func crash(t *testing.T, seed uint64, victim *restartable, url string, body func(int) string) {
	random := rand.New(rand.NewPCG(seed, seed))
	killAfter := int64(crashWrites/4 + random.IntN(crashWrites/2))
	client := httpClient(t)

	var acknowledged atomic.Int64
	killed := make(chan struct{})
	var once sync.Once
	before := eachKey(func(i int) *answer {
		select {
		case <-killed:
			return nil
		default:
		}
		a := write(client, url, i, body(i))
		if a != nil && acknowledged.Add(1) == killAfter {
			once.Do(func() {
				victim.process.Kill()
				close(killed)
			})
		}
		return a
	})
	require.GreaterOrEqual(t, acknowledged.Load(), killAfter)
	require.Less(t, acknowledged.Load(), int64(crashWrites), "all writes were acknowledged before the kill")
	victim.start(t)

	after := eachKey(func(i int) *answer {
		for { // until there is an answer, because the breaker may still be open
			a := write(client, url, i, body(i))
			if a != nil {
				return a
			}
		}
	})
	replayed := 0
	for i, a := range after {
		if before[i] != nil {
			require.True(t, a.replayed, "key %d was acknowledged and is lost", i)
			require.Equal(t, string(before[i].body), string(a.body), "key %d", i)
		}
		if a.replayed {
			replayed++
		}
	}
	t.Logf("killed after %d acknowledged writes of %d; %d were replayed", killAfter, crashWrites, replayed)
	rows := readAll(t, client, url)
	require.Len(t, rows, crashWrites)
	for _, a := range after {
		var row struct{ ID string }
		require.NoError(t, json.Unmarshal(a.body, &row))
		require.Equal(t, 1, rows[row.ID], row.ID)
	}
}

// eachKey calls do for every key, several concurrently.
func eachKey(do func(int) *answer) []*answer {
	answers := make([]*answer, crashWrites)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range crashClients {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < crashWrites; i = next.Add(1) - 1 {
				answers[i] = do(int(i))
			}
		})
	}
	wg.Wait()
	return answers
}

// write sends a write, and returns nil if it was not acknowledged.
func write(client *http.Client, url string, key int, body string) *answer {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", fmt.Sprintf("key-%d", key))
	response, err := client.Do(request)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusCreated {
		return nil
	}
	return &answer{body: bytes.Clone(read), replayed: response.Header.Get("Idempotent-Replayed") == "true"}
}

// readAll returns how often a list has each id.
func readAll(t *testing.T, client *http.Client, url string) map[string]int {
	ids := map[string]int{}
	query := "?limit=100"
	for {
		response, err := client.Get(url + query)
		require.NoError(t, err)
		var page struct {
			Items      []struct{ ID string }
			NextCursor string `json:"next_cursor"`
		}
		err = json.NewDecoder(response.Body).Decode(&page)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		for _, item := range page.Items {
			ids[item.ID]++
		}
		if page.NextCursor == "" {
			return ids
		}
		query = "?limit=100&cursor=" + page.NextCursor
	}
}
