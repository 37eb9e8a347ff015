package simulation

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// cacheTTL is how long order-service caches that a user exists, plus the time of the
// lookup before.
const cacheTTL = 5*time.Second + 2500*time.Millisecond

// version identifies a version of a resource.
type version struct {
	id string
	n  int64
}

// write is a write by a client, which it may send several times. Its mark is in what it
// writes, and nowhere else.
type write struct {
	mark     string
	kind     string // users or orders
	user     string // the owner of a created order
	body     string // the body of a create
	answered string // the body of the first successful answer
	id       string // of the created resource
	perhaps  bool   // it may have taken effect: there was no clear answer, or the network duplicated it
}

// model is what the clients know about the services, from which follow the rules that the
// services must obey.
type model struct {
	*world
	mu      sync.Mutex
	bodies  map[version]string   // of each version of each resource
	latest  map[string]int64     // the highest version that a client has seen
	deleted map[string]time.Time // when a deletion was acknowledged
	refused map[string]bool      // marks of writes that had no effect
	log     sync.Mutex           // for the two below
	writes  []*write
	names   map[string]string // of created resources
}

func newModel(w *world) *model {
	return &model{world: w, bodies: map[version]string{}, latest: map[string]int64{}, deleted: map[string]time.Time{}, refused: map[string]bool{}, names: map[string]string{}}
}

// known returns the highest version of a resource that a client has seen.
func (m *model) known(id string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest[id]
}

// saw checks an answer with a resource against earlier answers. least is the version that
// was known before the request.
func (m *model) saw(id string, n, least int64, body string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := version{id, n}
	if before, seen := m.bodies[v]; seen && before != body {
		m.wrong("version %d of %s has two contents: %s and %s", n, m.name(id), before, body)
	}
	if n < least {
		m.wrong("%s went back from version %d to %d", m.name(id), least, n)
	}
	m.bodies[v] = body
	m.latest[id] = max(m.latest[id], n)
}

// made checks the answer to a create against earlier answers to it.
func (m *model) made(c *write, id, body string, began time.Time, replayed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.answered == "" {
		m.log.Lock()
		c.answered, c.id = body, id
		m.names[id] = map[string]string{users: "user", orders: "order"}[c.kind] + " " + c.mark[1:]
		m.log.Unlock()
	} else if c.answered != body {
		m.wrong("a key had two answers: %s and %s", c.answered, body)
	}
	at, gone := m.deleted[c.user]
	if gone && !replayed && began.After(at.Add(cacheTTL)) {
		m.wrong("%s got an order %s after the deletion", m.name(c.user), began.Sub(at))
	}
}

// feed is the events of a service, in the feed's order.
type feed []event

type event struct {
	Type, Subject, Cursor string
	Data                  struct {
		Version int64
		UserID  string `json:"user_id"`
		By, To  string
	}
}

func (e event) is(what string) bool { return strings.HasSuffix(e.Type, "."+what) }

// resource is the final state of a user or an order.
type resource struct {
	id, body, email, user, status, address, product string
	version                                         int64
}

// judge checks the final state, with nothing in flight, against all answers. cursor is the
// position of order-service's follower.
func (m *model) judge(feeds map[string]feed, now map[string]map[string]resource, erased func(id string) bool, cursor string) {
	for _, kind := range []string{users, orders} {
		m.judgeFeed(feeds[kind], now[kind])
	}
	for _, w := range m.writes {
		there := feeds[w.kind].of(w.id)
		if w.id != "" && !slices.ContainsFunc(there, func(e event) bool { return e.is("created") }) {
			m.wrong("%s was acknowledged and is lost", m.name(w.id))
		}
		if !w.perhaps && w.answered == "" {
			m.refused[w.mark] = true
		}
	}
	for _, mark := range slices.Sorted(maps.Keys(m.refused)) {
		for v, body := range m.bodies {
			if strings.Contains(body, `"`+mark+`"`) || strings.Contains(body, `"`+mark+"@") {
				m.wrong("version %d of %s has the content of a rejected write: %s", v.n, m.name(v.id), mark)
			}
		}
	}
	products, addresses := map[string]string{}, map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(now[users])) {
		u := now[users][id]
		if addresses[u.email] != "" {
			m.wrong("%s and %s have the same email address", m.name(id), m.name(addresses[u.email]))
		}
		addresses[u.email] = id
	}
	for _, id := range slices.Sorted(maps.Keys(now[orders])) {
		o := now[orders][id]
		if products[o.product] != "" {
			m.wrong("one key created %s and %s", m.name(id), m.name(products[o.product]))
		}
		products[o.product] = id
		user := feeds[users].of(o.user)
		erasures := 0
		for _, e := range feeds[orders].of(id) {
			if e.Data.By == "erasure" {
				erasures++
			}
		}
		switch {
		case len(user) == 0 || !user[0].is("created"):
			m.wrong("%s is for a user who never existed", m.name(id))
		case user[len(user)-1].is("deleted"):
			if o.address != "" || o.status == "pending" || o.status == "confirmed" {
				m.wrong("%s is %s with address %q; its user was deleted", m.name(id), o.status, o.address)
			}
			if erasures != 1 {
				m.wrong("%s was erased %d times", m.name(id), erasures)
			}
		case erasures != 0:
			m.wrong("%s was erased, but its user exists", m.name(id))
		}
	}
	for _, e := range feeds[users] {
		if e.is("deleted") && !erased(e.Subject) {
			m.wrong("the erasure of %s is not complete", m.name(e.Subject))
		}
		if e.Cursor > cursor && len(e.Cursor) >= len(cursor) {
			m.wrong("order-service is at %q, and the feed has %q", cursor, e.Cursor)
		}
	}
}

// judgeFeed checks a feed against the resources: each change is one event, and each event
// one version, from creation to deletion.
func (m *model) judgeFeed(f feed, now map[string]resource) {
	last := map[string]event{}
	gone := map[string]bool{} // users of whom an order was erased
	for _, e := range f {
		before, there := last[e.Subject]
		switch {
		case e.is("created") == there, there && before.is("deleted"), e.Data.Version != before.Data.Version+1:
			m.wrong("in the feed, %s %s with version %d comes after version %d", m.name(e.Subject), e.Type, e.Data.Version, before.Data.Version)
		case e.is("created") && gone[e.Data.UserID]:
			m.wrong("%s got %s after being erased", m.name(e.Data.UserID), m.name(e.Subject))
		}
		last[e.Subject] = e
		if e.Data.By == "erasure" {
			gone[e.Data.UserID] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(last)) {
		e := last[id]
		r, there := now[id]
		if there == e.is("deleted") || there && r.version != e.Data.Version {
			m.wrong("%s exists: %t, version %d; its last event is %s, version %d", m.name(id), there, r.version, e.Type, e.Data.Version)
		}
		if m.latest[id] > e.Data.Version {
			m.wrong("version %d of %s was acknowledged and is lost", m.latest[id], m.name(id))
		}
	}
	for id := range now {
		if _, told := last[id]; !told {
			m.wrong("%s has no event", m.name(id))
		}
	}
	for id := range m.deleted {
		if _, there := now[id]; there {
			m.wrong("the deletion of %s was acknowledged and is lost", m.name(id))
		}
	}
}

func (f feed) of(id string) (of feed) {
	for _, e := range f {
		if e.Subject == id {
			of = append(of, e)
		}
	}
	return of
}

// name returns the story's name of a resource, as ids are too long.
func (m *model) name(id string) string {
	m.log.Lock()
	defer m.log.Unlock()
	return cmp.Or(m.names[id], "an unknown resource")
}

// copied returns a copy of the writes so far.
func (m *model) copied() []write {
	m.log.Lock()
	defer m.log.Unlock()
	all := make([]write, len(m.writes))
	for i, w := range m.writes {
		all[i] = *w
	}
	return all
}
