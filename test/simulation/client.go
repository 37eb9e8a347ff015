package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/example/microservices/pkg/requestid"
)

// client sends requests, one after the other.
type client struct {
	*model
	name   string
	random *rand.Rand
	http   *http.Client
	*http.Transport
	events map[string]feed // what the client has read of each feed
}

func (m *model) client(name string) *client {
	transport := &http.Transport{DialContext: m.dial(name)}
	return &client{model: m, name: name, random: m.random("client", name), http: &http.Client{Transport: transport}, Transport: transport, events: map[string]feed{}}
}

// answer is the outcome of a request. Status 0 is no answer.
type answer struct {
	status         int
	body, location string
	version        int64
	replayed       bool
	doubled        bool // the request was sent or delivered twice: the answer may be to the second
	began          time.Time
}

func (a answer) happened() bool { return a.status/100 == 2 }

// refused reports whether the request certainly had no effect.
func (a answer) refused() bool { return a.status >= 400 && !a.doubled }

// do sends a request, and returns the outcome.
func (c *client) do(patience time.Duration, service, method, path, body string, headers ...string) (a answer) {
	before := c.sentSoFar()
	a.began = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+service+"/api/v1/"+strings.TrimSuffix(service, "-service")+"s"+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set(requestid.Header, strings.NewReplacer("'", "", " ", "-").Replace(fmt.Sprint(c.name, "-", before)))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err == nil {
		var read []byte
		read, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err == nil {
			a.status, a.body, a.location = response.StatusCode, string(read), response.Header.Get("Location")
			a.version, _ = strconv.ParseInt(strings.Trim(response.Header.Get("ETag"), `"`), 10, 64)
			a.replayed = response.Header.Get("Idempotent-Replayed") == "true"
		}
	}
	a.doubled = c.sentSoFar() > before+1
	if c.faults.calm && a.status >= 500 {
		c.wrong("%d without a fault: %s", a.status, a.body)
	}
	return a
}

func (c *client) sentSoFar() int {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	return c.sent[c.name]
}

// tellOf adds a request and its outcome to the story.
func (c *client) tellOf(a answer, format string, args ...any) {
	outcome := fmt.Sprint(a.status)
	if a.status == 0 {
		outcome = "no answer"
	}
	if a.happened() && a.version > 0 {
		outcome += fmt.Sprintf(", version %d", a.version)
	}
	if a.replayed {
		outcome += ", again"
	}
	if a.status >= 400 {
		var problem struct{ Detail string }
		_ = json.Unmarshal([]byte(a.body), &problem)
		outcome += ", " + problem.Detail
	}
	c.tell(c.name, "%s → %s", fmt.Sprintf(format, args...), outcome)
}

// run does random steps.
func (c *client) run(steps int) {
	for i := range steps {
		<-time.After(upTo(c.random, c.faults.pause))
		patience := 6 * time.Second
		if c.random.Float64() < c.faults.impatient {
			patience = upTo(c.random, 2*c.faults.latency+20*time.Millisecond)
		}
		if i < 2 {
			c.createUser(patience)
			continue
		}
		switch n := c.random.IntN(24); {
		case n < 2:
			c.createUser(patience)
		case n < 8:
			c.createOrder(patience)
		case n < 10:
			c.again(patience)
		case n < 12:
			c.change(users, patience)
		case n < 15:
			c.change(orders, patience)
		case n < 17:
			c.changeAtOnce([]string{users, orders}[c.random.IntN(2)])
		case n < 18:
			c.delete(orders, patience)
		case n < 20:
			c.delete(users, patience)
		case n < 21:
			c.follow([]string{users, orders}[c.random.IntN(2)])
		case n < 23:
			c.audit()
		default:
			c.hurry()
		}
	}
}

// pick returns the id of a resource that a client has created.
func (c *client) pick(kind string) (string, bool) {
	var ids []string
	for _, w := range c.copied() {
		if w.kind == kind && w.answered != "" && w.id != "" {
			ids = append(ids, w.id)
		}
	}
	if len(ids) == 0 {
		return "", false
	}
	if len(ids) > 4 && c.random.IntN(2) == 0 {
		ids = ids[len(ids)-4:] // older ones are often deleted
	}
	return ids[c.random.IntN(len(ids))], true
}

// write registers a new write. Its mark replaces each %[1]q in body.
func (c *client) write(kind, user, body string) *write {
	c.model.log.Lock()
	defer c.model.log.Unlock()
	w := &write{mark: fmt.Sprint("m", len(c.writes)+1), kind: kind, user: user}
	if body != "" {
		w.body = fmt.Sprintf(body, w.mark)
	}
	c.writes = append(c.writes, w)
	return w
}

func (c *client) createUser(patience time.Duration) {
	other, there := c.pick(users)
	if there && c.random.IntN(6) == 0 { // whose address is taken
		for _, o := range c.copied() {
			if o.id == other {
				c.create(c.write(users, "", `{"name":%[1]q,"email":"`+o.mark+`@example.com"}`), patience)
				return
			}
		}
	}
	c.create(c.write(users, "", `{"name":%[1]q,"email":"%[1]s@example.com","age":36}`), patience)
}

func (c *client) createOrder(patience time.Duration) {
	user, there := c.pick(users)
	if !there || c.random.IntN(6) == 0 {
		user = nobody
	}
	c.create(c.write(orders, user, `{"user_id":"`+user+`","shipping_address":%[1]q,"items":[{"product_id":%[1]q,"product_name":"P","quantity":1,"price":0.1}]}`), patience)
}

const nobody = "00000000-0000-4000-8000-000000000000"

// create sends a create until there is a final answer, or up to three times.
func (c *client) create(w *write, patience time.Duration) {
	for range 1 + c.random.IntN(3) {
		a := c.send(w, patience)
		if a.status != 0 && a.status != http.StatusServiceUnavailable && a.status != http.StatusConflict {
			return
		}
		<-time.After(upTo(c.random, 2*time.Second))
		patience = 6 * time.Second
	}
}

// again repeats an earlier create.
func (c *client) again(patience time.Duration) {
	c.model.log.Lock()
	sent := slices.DeleteFunc(slices.Clone(c.writes), func(w *write) bool { return w.body == "" })
	c.model.log.Unlock()
	if len(sent) > 0 {
		c.send(sent[c.random.IntN(len(sent))], patience)
	}
}

// send sends a create with its Idempotency-Key.
func (c *client) send(w *write, patience time.Duration) answer {
	a := c.do(patience, w.kind, http.MethodPost, "", w.body, "Idempotency-Key", w.mark)
	what := "creates user " + w.mark[1:]
	if w.kind == orders {
		what = "creates order " + w.mark[1:] + " for " + c.model.name(w.user)
	}
	c.tellOf(a, "%s", what)
	switch {
	case a.status == http.StatusCreated:
		id := a.location[strings.LastIndexByte(a.location, '/')+1:]
		if w.user == nobody {
			c.wrong("an order was created for a user who never existed")
		}
		c.made(w, id, a.body, a.began, a.replayed)
		c.saw(id, a.version, 0, a.body)
	case !a.refused():
		c.unknown(w)
	case a.status == http.StatusUnprocessableEntity && w.user == "":
		c.wrong("the creation of a user was rejected: %s", a.body)
	}
	return a
}

func (c *client) unknown(w *write) {
	c.model.log.Lock()
	defer c.model.log.Unlock()
	w.perhaps = true
}

// change changes a resource, sometimes on condition that it has the known version.
func (c *client) change(kind string, patience time.Duration) {
	id, there := c.pick(kind)
	if there {
		c.changeOne(kind, id, patience)
	}
}

// changeAtOnce changes a resource three times concurrently.
func (c *client) changeAtOnce(kind string) {
	id, there := c.pick(kind)
	if !there {
		return
	}
	var all sync.WaitGroup
	for i := range 3 {
		hand := c.model.client(fmt.Sprint(c.name, "'s ", c.sentSoFar(), "-", i))
		all.Go(func() {
			defer hand.CloseIdleConnections()
			<-time.After(upTo(hand.random, 5*time.Millisecond))
			hand.changeOne(kind, id, 6*time.Second)
		})
	}
	all.Wait()
}

func (c *client) changeOne(kind, id string, patience time.Duration) {
	var headers []string
	known, condition := c.known(id), ""
	if c.random.IntN(2) == 0 {
		condition = fmt.Sprintf(" if it is version %d", known)
		headers = []string{"If-Match", fmt.Sprintf("%q", fmt.Sprint(known))}
	}
	if c.random.IntN(4) == 0 {
		a := c.do(patience, kind, http.MethodGet, "/"+id, "")
		c.tellOf(a, "reads %s", c.model.name(id))
		if a.status == http.StatusOK {
			c.saw(id, a.version, known, a.body)
		}
		return
	}
	w := c.write(kind, "", "")
	body := fmt.Sprintf(`{"name":%q}`, w.mark)
	if kind == orders {
		body = fmt.Sprintf(`{"shipping_address":%q}`, w.mark)
		if c.random.IntN(2) == 0 {
			body = `{"status":"` + []string{"confirmed", "shipped", "cancelled"}[c.random.IntN(3)] + `"}`
		}
	}
	a := c.do(patience, kind, http.MethodPatch, "/"+id, body, headers...)
	c.tellOf(a, "changes %s to %s%s", c.model.name(id), body, condition)
	switch {
	case a.status == http.StatusOK:
		c.unknown(w) // it may be in any version
		c.saw(id, a.version, known, a.body)
		if condition != "" && !a.doubled && a.version != known+1 {
			c.wrong("%s should be version %d, and is %d", c.model.name(id), known+1, a.version)
		}
	case !a.refused():
		c.unknown(w)
	}
}

func (c *client) delete(kind string, patience time.Duration) {
	id, there := c.pick(kind)
	if !there {
		return
	}
	a := c.do(patience, kind, http.MethodDelete, "/"+id, "")
	c.tellOf(a, "deletes %s", c.model.name(id))
	if a.status == http.StatusNoContent {
		c.model.mu.Lock()
		defer c.model.mu.Unlock()
		if _, before := c.deleted[id]; before && !a.doubled {
			c.wrong("%s was deleted twice", c.model.name(id))
		}
		c.deleted[id] = time.Now()
	}
}

// audit asks whether a deleted user was erased, and checks the answer.
func (c *client) audit() {
	id, there := c.pick(users)
	c.model.mu.Lock()
	at, gone := c.deleted[id]
	c.model.mu.Unlock()
	if !there || !gone {
		return
	}
	a := c.do(6*time.Second, users, http.MethodGet, "/"+id+"/erasure", "")
	complete := strings.Contains(a.body, `"complete":true`)
	c.tellOf(a, "asks whether %s was erased: %t", c.model.name(id), complete)
	if c.faults.calm && a.status == http.StatusOK && !complete && a.began.Sub(at) > 3*time.Second {
		c.wrong("%s is not erased after %s without faults", c.model.name(id), a.began.Sub(at))
	}
	if !complete {
		return
	}
	for _, status := range []string{"pending", "confirmed"} {
		a := c.do(6*time.Second, orders, http.MethodGet, "?user_id="+id+"&status="+status, "")
		if a.status == http.StatusOK && strings.Contains(a.body, `"id"`) {
			c.wrong("%s was erased, and has a %s order", c.model.name(id), status)
		}
	}
}

// hurry gives up on twelve concurrent orders.
func (c *client) hurry() {
	if c.faults.impatient == 0 {
		return
	}
	var all sync.WaitGroup
	for i := range 12 {
		patience := upTo(c.random, 2*c.faults.latency) + c.faults.latency
		all.Go(func() {
			other := c.model.client(fmt.Sprint(c.name, "'s ", c.sentSoFar(), "-", i))
			defer other.CloseIdleConnections()
			a := other.do(patience, orders, http.MethodPost, "", fmt.Sprintf(`{"user_id":"00000000-0000-4000-8000-%012d","shipping_address":"x","items":[{"product_id":"p","product_name":"P","quantity":1,"price":0.1}]}`, i))
			if a.status == http.StatusCreated {
				c.wrong("an order was created for a user who never existed")
			}
		})
	}
	all.Wait()
	c.tell(c.name, "gives up on twelve orders for users who never existed")
}

// follow reads the next events of a feed.
func (c *client) follow(kind string) {
	path := "/events?limit=7"
	if f := c.events[kind]; len(f) > 0 {
		path += "&cursor=" + f[len(f)-1].Cursor
	}
	a := c.do(6*time.Second, kind, http.MethodGet, path, "")
	var batch feed
	if a.status == http.StatusOK && json.Unmarshal([]byte(a.body), &batch) == nil {
		c.events[kind] = append(c.events[kind], batch...)
	}
	c.tellOf(a, "reads %d events", len(batch))
}
