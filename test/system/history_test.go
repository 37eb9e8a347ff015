package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/anishathalye/porcupine"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/process"
)

// TestHistories records the answers while both services are killed and their connections are
// cut and slowed, and searches for an order of the requests that explains all answers
// (history_model_test.go).
func TestHistories(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's own log
	for kind, address := range databases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			users := &restartable{binary: process.Build(t, "user-service"), env: []string{"DATABASE_URL=" + address(t)}}
			users.start(t)
			between := newProxy(t, users)
			orders := &restartable{binary: process.Build(t, "order-service"), env: []string{
				"DATABASE_URL=" + databases[kind](t), "USER_SERVICE_URL=http://" + between.Listen,
				"USER_CLIENT_CACHE_TTL=0s", "USER_CLIENT_BREAKER_OPEN=100ms",
			}}
			orders.start(t)
			proxies := []*toxiproxy.Proxy{newProxy(t, users), newProxy(t, orders), between}

			h := &history{began: time.Now(), users: "http://" + proxies[0].Listen + "/api/v1/users", orders: "http://" + proxies[1].Listen + "/api/v1/orders"}
			h.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 2 * time.Second}
			t.Cleanup(h.client.CloseIdleConnections)
			stop := make(chan struct{})
			var running sync.WaitGroup
			people := make([]*owner, 12)
			for i := range people {
				people[i] = &owner{history: h, name: fmt.Sprint(kind, "-", seed, "-", i)}
				for j := range 3 {
					r := rand.New(rand.NewPCG(seed, uint64(1+i*10+j)))
					running.Go(func() { people[i].run(r, j == 0, stop) })
				}
			}
			disturb(t, random, []*restartable{users, orders}, proxies)
			close(stop)
			running.Wait()
			for _, p := range people {
				p.settle(t)
			}
			result, info := porcupine.CheckOperationsVerbose(linearizable.ToModel(), h.operations, time.Minute)
			unknown := 0
			for _, o := range h.operations {
				if o.Output.(output).status == 0 {
					unknown++
				}
			}
			t.Logf("%d operations, %d of them without an answer: %s in %s", len(h.operations), unknown, result, time.Since(h.began).Round(time.Second))
			if result != porcupine.Ok {
				picture := filepath.Join(t.ArtifactDir(), "history.html")
				require.NoError(t, porcupine.VisualizePath(linearizable.ToModel(), info, picture))
				t.Fatalf("no order of the operations explains the answers: %s", picture)
			}
		})
	}
}

func newProxy(t *testing.T, to *restartable) *toxiproxy.Proxy {
	control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(control, "p", "127.0.0.1:0", to.process.Address)
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	return proxy
}

// disturb kills services, and cuts and slows connections, for some seconds.
func disturb(t *testing.T, random *rand.Rand, services []*restartable, proxies []*toxiproxy.Proxy) {
	for range 25 {
		<-time.After(time.Duration(100+random.IntN(300)) * time.Millisecond)
		if random.IntN(3) == 0 {
			victim := services[random.IntN(2)]
			victim.process.Kill()
			victim.start(t)
			continue
		}
		toxic := []string{
			`{"name":"x","type":"reset_peer","attributes":{"timeout":0}}`,
			`{"name":"x","type":"latency","attributes":{"latency":200,"jitter":150}}`,
			`{"name":"x","type":"limit_data","attributes":{"bytes":300}}`,
			`{"name":"x","type":"timeout","attributes":{"timeout":100}}`,
		}[random.IntN(4)]
		p := proxies[random.IntN(len(proxies))]
		_, err := p.Toxics.AddToxicJson(strings.NewReader(toxic))
		require.NoError(t, err)
		<-time.After(time.Duration(100+random.IntN(300)) * time.Millisecond)
		require.NoError(t, p.Toxics.RemoveToxic(context.Background(), "x"))
	}
}

// history is the requests and answers of all clients.
type history struct {
	users, orders string
	client        *http.Client
	began         time.Time
	mu            sync.Mutex
	operations    []porcupine.Operation
}

// forever is the end of an operation without an answer.
const forever = int64(1) << 60

func (h *history) add(client int, in input, out output, began time.Time) {
	ended := int64(time.Since(h.began))
	if out.status == 0 || out.status >= 500 {
		ended = forever
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(began.Sub(h.began)), Return: ended})
}

// owner is a user, and the clients that use it.
type owner struct {
	*history
	name string

	lock   sync.Mutex
	id     string
	orders [places]string // their ids, if known
	begun  int            // the number of orders that clients began to create
}

// run sends one random request after the other. The first client creates the user.
func (o *owner) run(random *rand.Rand, first bool, stop <-chan struct{}) {
	if first {
		in := input{user: o.name, do: "create user", value: o.name}
		id := o.create(in, o.users, fmt.Sprintf(`{"name":%q,"email":"%s@example.com"}`, o.name, o.name))
		o.lock.Lock()
		o.id = id
		o.lock.Unlock()
	}
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(50+random.IntN(400)) * time.Millisecond):
		}
		o.lock.Lock()
		id, known := o.id, o.orders
		o.lock.Unlock()
		if id == "" {
			continue
		}
		in := input{user: o.name, value: fmt.Sprint(o.name, "-", random.Uint64()), order: random.IntN(places)}
		if random.IntN(3) == 0 {
			in.ifMatch = int64(1 + random.IntN(3))
		}
		order := known[in.order]
		switch action := random.IntN(16); {
		case action < 1 && n > 5:
			in.do, in.ifMatch = "delete user", 0
			o.send(in, http.MethodDelete, o.users+"/"+id, "")
		case action < 2:
			in.ifMatch = 0
			in.do = "erasure"
			o.send(in, http.MethodGet, o.users+"/"+id+"/erasure", "")
		case action < 4:
			in.do, in.ifMatch = "read user", 0
			o.send(in, http.MethodGet, o.users+"/"+id, "")
		case action < 6:
			in.do = "name"
			o.send(in, http.MethodPatch, o.users+"/"+id, fmt.Sprintf(`{"name":%q}`, in.value))
		case action < 8:
			o.order(in, id)
		case order == "":
		case action < 10:
			in.do, in.ifMatch = "read order", 0
			o.send(in, http.MethodGet, o.history.orders+"/"+order, "")
		case action < 12:
			in.do = "address"
			o.send(in, http.MethodPatch, o.history.orders+"/"+order, fmt.Sprintf(`{"shipping_address":%q}`, in.value))
		case action < 15:
			in.do = []string{"confirmed", "shipped", "delivered"}[random.IntN(3)]
			o.send(in, http.MethodPatch, o.history.orders+"/"+order, fmt.Sprintf(`{"status":%q}`, in.do))
		default:
			in.do = "delete order"
			o.send(in, http.MethodDelete, o.history.orders+"/"+order, "")
		}
	}
}

// order creates an order, if the user has fewer than places.
func (o *owner) order(in input, user string) {
	o.lock.Lock()
	in.do, in.ifMatch, in.order = "create order", 0, o.begun
	o.begun++
	o.lock.Unlock()
	if in.order >= places {
		return
	}
	id := o.create(in, o.history.orders, fmt.Sprintf(`{"user_id":%q,"shipping_address":%q,"items":[{"product_id":"p","product_name":"P","quantity":1,"price":0.1}]}`, user, in.value))
	o.lock.Lock()
	o.orders[in.order] = id
	o.lock.Unlock()
}

// create sends a create with a key until there is an answer, which makes it one operation.
func (o *owner) create(in input, url, body string) (id string) {
	began := time.Now()
	for time.Since(began) < 30*time.Second {
		out, id := o.do(http.MethodPost, url, body, "Idempotency-Key", in.value)
		if out.status != 0 && out.status < 500 && out.status != http.StatusConflict { // the attempt before is still in flight
			o.add(0, in, out, began)
			return id
		}
		<-time.After(50 * time.Millisecond)
	}
	return "" // the id is unknown
}

func (o *owner) send(in input, method, url, body string) output {
	var headers []string
	if in.ifMatch != 0 {
		headers = []string{"If-Match", fmt.Sprintf("%q", strconv.FormatInt(in.ifMatch, 10))}
	}
	began := time.Now()
	out, _ := o.do(method, url, body, headers...)
	o.add(0, in, out, began)
	return out
}

// do sends a request. Without an answer the status is 0.
func (h *history) do(method, url, body string, headers ...string) (out output, id string) {
	request, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewBufferString(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := h.client.Do(request)
	if err != nil {
		return output{}, ""
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return output{}, ""
	}
	out.status = response.StatusCode
	if out.status >= 300 || len(read) == 0 {
		return out, ""
	}
	var resource struct {
		ID, Name, Status string
		Address          string `json:"shipping_address"`
		Complete         *bool
	}
	err = json.Unmarshal(read, &resource)
	if err != nil {
		panic(err)
	}
	out.version, _ = strconv.ParseInt(strings.Trim(response.Header.Get("ETag"), `"`), 10, 64)
	out.value, out.state = resource.Name+resource.Address, resource.Status
	if resource.Complete != nil {
		out.value = map[bool]string{true: "complete", false: "incomplete"}[*resource.Complete]
	}
	return out, resource.ID
}

// settle reads everything once more, after the disturbances. The erasure of a deleted user
// must become complete.
func (o *owner) settle(t *testing.T) {
	if o.id == "" {
		return
	}
	require.Eventually(t, func() bool {
		out := o.send(input{user: o.name, do: "erasure"}, http.MethodGet, o.users+"/"+o.id+"/erasure", "")
		return out.status == http.StatusNotFound || out.value == "complete"
	}, time.Minute, 100*time.Millisecond, "the erasure is not complete")
	o.send(input{user: o.name, do: "read user"}, http.MethodGet, o.users+"/"+o.id, "")
	for i, order := range o.orders {
		if order != "" {
			o.send(input{user: o.name, do: "read order", order: i}, http.MethodGet, o.history.orders+"/"+order, "")
		}
	}
}
