package simulation

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	orderservice "github.com/example/microservices/services/order-service/simulationtest"
	userservice "github.com/example/microservices/services/user-service/simulationtest"
)

var (
	seedFlag = flag.Uint64("seed", 0, "run this seed only, and print its story")
	fromFlag = flag.Uint64("from", 0, "the first seed; 0: derived from the time")
	forFlag  = flag.Duration("for", 15*time.Second, "how long to run seeds")
)

// TestSeeds runs one seed after the other, until one fails, and prints the story of that one.
func TestSeeds(t *testing.T) {
	folder := prepare(t)
	if *seedFlag != 0 {
		story, problems := run(t, *seedFlag, folder)
		fmt.Println(story) //nolint:forbidigo // printing it is the flag's purpose
		require.Empty(t, problems)
		return
	}
	from := *fromFlag
	if from == 0 {
		from = uint64(time.Now().UnixNano()) >> 10
	}
	began, n := time.Now(), uint64(0)
	for ; time.Since(began) < *forFlag; n++ {
		story, problems := run(t, from+n, folder)
		if len(problems) > 0 {
			t.Fatalf("%s\nseed %d, the %dth, goes wrong:\n%s\n\nmake simulate SEED=%d repeats it", story, from+n, n+1, strings.Join(problems, "\n"), from+n)
		}
	}
	t.Logf("%d seeds from %d in %s: %.0f a minute", n, from, time.Since(began).Round(time.Second), float64(n)/time.Since(began).Minutes())
}

// TestASeedAlwaysGivesTheSameStory runs two seeds five times each.
func TestASeedAlwaysGivesTheSameStory(t *testing.T) {
	folder := prepare(t)
	for _, seed := range []uint64{2, 5} {
		first, _ := run(t, seed, folder)
		for range 4 {
			again, _ := run(t, seed, folder)
			require.Equal(t, first, again)
		}
	}
}

// prepare returns a folder with an empty database for each service: in memory if possible.
func prepare(t *testing.T) string {
	folder, err := os.MkdirTemp("/dev/shm", "simulation") //nolint:usetesting // a disk is a hundred times slower
	if err != nil {
		folder = t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.NoError(t, userservice.Migrate(t.Context(), filepath.Join(folder, users+".db")))
	require.NoError(t, orderservice.Migrate(t.Context(), filepath.Join(folder, orders+".db")))
	return folder
}

// run runs a seed, and returns its story and its violations.
func run(t *testing.T, seed uint64, folder string) (story string, problems []string) {
	seedIDs(seed)
	synctest.Test(t, func(*testing.T) {
		time.Sleep(time.Until(ended.Add(time.Hour))) // UUIDv7s continue from the run before, so the clock must too
		w := newWorld(seed, folder)
		m := newModel(w)
		w.tell("the world", "has %+v", w.faults)
		w.start(users)
		w.start(orders)
		var clients []*client
		var all sync.WaitGroup
		for _, name := range []string{"ada", "bob", "carol", "dan", "eve"}[:w.faults.clients] {
			c := m.client(name)
			clients = append(clients, c)
			all.Go(func() { c.run(w.faults.steps) })
		}
		all.Wait()
		w.tell("the world", "has no more faults")
		w.healed.Store(true)
		last := m.client("the end")
		last.judge(clients)
		for _, c := range append(clients, last) {
			c.CloseIdleConnections()
		}
		w.services[orders].end()
		w.services[users].end()
		time.Sleep(5 * time.Minute) // all packets in flight arrive
		story, problems = strings.Join(w.story, "\n"), w.problems
		ended = time.Now()
	})
	return story, problems
}

var ended time.Time

// judge waits until nothing changes any more, and has the model check the final state.
func (c *client) judge(clients []*client) {
	time.Sleep(25 * time.Second) // for delayed packets, and for an open breaker
	c.revive()
	feeds := map[string]feed{users: c.feed(users)}
	c.rest(feeds[users])
	cursor := c.followed()
	now := map[string]map[string]resource{users: c.list(users), orders: c.list(orders)}
	feeds[orders] = c.feed(orders)
	erased := func(id string) bool {
		return strings.Contains(c.do(time.Minute, users, http.MethodGet, "/"+id+"/erasure", "").body, `"complete":true`)
	}
	c.model.judge(feeds, now, erased, cursor)
	for _, other := range clients {
		for kind, f := range other.events {
			if len(f) > 0 && !slices.Equal(f, feeds[kind][:min(len(f), len(feeds[kind]))]) {
				c.wrong("%s has read events that differ from the feed", other.name)
			}
		}
	}
}

// revive sends every create again. It must succeed, or be rejected because its user is
// deleted or never existed, or because its email address is taken.
func (c *client) revive() {
	for _, w := range slices.Clone(c.writes) {
		if w.body == "" {
			continue
		}
		_, gone := c.deleted[w.id]
		switch a := c.send(w, time.Minute); {
		case a.status == http.StatusCreated:
		case a.status == http.StatusGone, a.status == http.StatusUnprocessableEntity && w.kind == orders:
		case a.status == http.StatusConflict && !strings.Contains(w.body, w.mark+"@") && w.answered == "" && strings.Contains(a.body, "email"):
		default:
			c.wrong("the key of %s gets %d without faults (deleted: %t)", w.mark, a.status, gone)
		}
	}
}

// followed is the position of order-service's follower.
func (c *client) followed() string {
	at, err := c.services[orders].followed.Followed(context.Background(), users)
	if err != nil {
		c.wrong("the follower's position can't be read: %v", err)
	}
	return at.String()
}

// rest waits until all events are followed and the erasures are complete, for at most two
// minutes.
func (c *client) rest(f feed) {
	for range 120 {
		waiting := len(f) > 0 && c.followed() != f[len(f)-1].Cursor
		for _, e := range f {
			if e.is("deleted") && !strings.Contains(c.do(time.Minute, users, http.MethodGet, "/"+e.Subject+"/erasure", "").body, `"complete":true`) {
				waiting = true
			}
		}
		if !waiting {
			break
		}
		time.Sleep(time.Second)
	}
}

func (c *client) list(kind string) map[string]resource {
	all := map[string]resource{}
	for cursor := ""; ; {
		a := c.do(time.Minute, kind, http.MethodGet, "?limit=10"+cursor, "")
		var list struct {
			Items      []json.RawMessage
			NextCursor string `json:"next_cursor"`
		}
		err := json.Unmarshal([]byte(a.body), &list)
		if err != nil {
			c.wrong("the list of %s answers %d", kind, a.status)
			return all
		}
		for _, item := range list.Items {
			var r struct {
				ID, Email, Status string
				UserID            string `json:"user_id"`
				Address           string `json:"shipping_address"`
				Items             []struct {
					Product string `json:"product_id"`
				}
			}
			_ = json.Unmarshal(item, &r)
			one := resource{id: r.ID, body: string(item), email: r.Email, user: r.UserID, status: r.Status, address: r.Address}
			if len(r.Items) > 0 {
				one.product = r.Items[0].Product
			}
			got := c.do(time.Minute, kind, http.MethodGet, "/"+r.ID, "")
			one.version = got.version
			c.saw(r.ID, got.version, c.known(r.ID), got.body)
			all[r.ID] = one
		}
		if list.NextCursor == "" {
			return all
		}
		cursor = "&cursor=" + list.NextCursor
	}
}

func (c *client) feed(kind string) feed {
	var all feed
	for cursor := ""; ; {
		a := c.do(time.Minute, kind, http.MethodGet, "/events?limit=500"+cursor, "")
		var batch feed
		err := json.Unmarshal([]byte(a.body), &batch)
		if err != nil {
			c.wrong("the feed of %s answers %d", kind, a.status)
			return all
		}
		if len(batch) == 0 {
			return all
		}
		if len(all) > 0 && batch[0].Cursor == all[len(all)-1].Cursor {
			c.wrong("the feed of %s repeats itself", kind)
			return all
		}
		all = append(all, batch...)
		cursor = "&cursor=" + batch[len(batch)-1].Cursor
	}
}
