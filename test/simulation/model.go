package simulation

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// cacheTTL is for how long order-service takes a user for one who exists, and how long a
// request about it may still take.
const cacheTTL = 5*time.Second + 2500*time.Millisecond

// version is a resource at a version.
type version struct {
	id string
	n  int64
}

// write is what a client asks for, however often it sends it. Its mark is in what it writes,
// and in nothing else.
type write struct {
	mark     string
	kind     string // of a resource: a service's name
	user     string // whose order it makes
	body     string // what a create sends
	answered string // the body of the first success
	id       string // of what it made
	perhaps  bool   // it may have happened: an answer is missing, or the network doubled it
}

// model is what the clients know of the services, and so what these must do.
type model struct {
	*world
	mu      sync.Mutex
	bodies  map[version]string   // what each version of each resource was, for ever
	latest  map[string]int64     // the highest version that somebody was told of
	deleted map[string]time.Time // when the deletion was acknowledged
	refused map[string]bool      // marks of writes that did not happen
	log     sync.Mutex           // for the two below
	writes  []*write
	names   map[string]string // of what was made
}

func newModel(w *world) *model {
	return &model{world: w, bodies: map[version]string{}, latest: map[string]int64{}, deleted: map[string]time.Time{}, refused: map[string]bool{}, names: map[string]string{}}
}

// known returns the highest version that was known before a request.
func (m *model) known(id string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest[id]
}

// saw holds an answer with a resource against what was seen of it. least is the version that
// was known before it was asked for.
func (m *model) saw(id string, n, least int64, body string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := version{id, n}
	if before, seen := m.bodies[v]; seen && before != body {
		m.wrong("version %d of %s was two things: %s and %s", n, m.name(id), before, body)
	}
	if n < least {
		m.wrong("%s went back from version %d to %d", m.name(id), least, n)
	}
	m.bodies[v] = body
	m.latest[id] = max(m.latest[id], n)
}

// made holds the answer of a create against those that it had before.
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

// feed is what a service's feed has told in the end.
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

// resource is a user or an order as it is in the end.
type resource struct {
	id, body, email, user, status, address, product string
	version                                         int64
}

// judge holds all that is there in the end, when nothing is under way any more, against all
// that was ever said. cursor is where order-service's follower is.
func (m *model) judge(feeds map[string]feed, now map[string]map[string]resource, erased func(id string) bool, cursor string) {
	for _, kind := range []string{users, orders} {
		m.judgeFeed(feeds[kind], now[kind])
	}
	for _, w := range m.writes {
		there := feeds[w.kind].of(w.id)
		if w.id != "" && !slices.ContainsFunc(there, func(e event) bool { return e.is("created") }) {
			m.wrong("%s was acknowledged, and is lost", m.name(w.id))
		}
		if !w.perhaps && w.answered == "" {
			m.refused[w.mark] = true
		}
	}
	for _, mark := range slices.Sorted(maps.Keys(m.refused)) {
		for v, body := range m.bodies {
			if strings.Contains(body, `"`+mark+`"`) || strings.Contains(body, `"`+mark+"@") {
				m.wrong("version %d of %s has what was refused: %s", v.n, m.name(v.id), mark)
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
			m.wrong("one key made %s and %s", m.name(id), m.name(products[o.product]))
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
			m.wrong("%s is for a user who never was", m.name(id))
		case user[len(user)-1].is("deleted"):
			if o.address != "" || o.status == "pending" || o.status == "confirmed" {
				m.wrong("%s is %s and goes to %q; its user was deleted", m.name(id), o.status, o.address)
			}
			if erasures != 1 {
				m.wrong("%s was erased %d times", m.name(id), erasures)
			}
		case erasures != 0:
			m.wrong("%s was erased, whose user is there", m.name(id))
		}
	}
	for _, e := range feeds[users] {
		if e.is("deleted") && !erased(e.Subject) {
			m.wrong("the erasure of %s is not complete", m.name(e.Subject))
		}
		if e.Cursor > cursor && len(e.Cursor) >= len(cursor) {
			m.wrong("order-service has followed up to %q, and there is %q", cursor, e.Cursor)
		}
	}
}

// judgeFeed holds a feed against the resources: each change is one event, and each event one
// version, from creation to deletion.
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
			m.wrong("%s is there: %t, version %d; its last event is %s, version %d", m.name(id), there, r.version, e.Type, e.Data.Version)
		}
		if m.latest[id] > e.Data.Version {
			m.wrong("version %d of %s was acknowledged, and is lost", m.latest[id], m.name(id))
		}
	}
	for id := range now {
		if _, told := last[id]; !told {
			m.wrong("%s has no event", m.name(id))
		}
	}
	for id := range m.deleted {
		if _, there := now[id]; there {
			m.wrong("the deletion of %s was acknowledged, and is lost", m.name(id))
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

// name is what the story calls a resource: ids are too long.
func (m *model) name(id string) string {
	m.log.Lock()
	defer m.log.Unlock()
	return cmp.Or(m.names[id], "somebody unknown")
}

// copied returns what was written so far.
func (m *model) copied() []write {
	m.log.Lock()
	defer m.log.Unlock()
	all := make([]write, len(m.writes))
	for i, w := range m.writes {
		all[i] = *w
	}
	return all
}
