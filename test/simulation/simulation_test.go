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
	seedFlag = flag.Uint64("seed", 0, "tell the story of this seed")
	fromFlag = flag.Uint64("from", 0, "the first of the seeds; 0: of the time of day")
	forFlag  = flag.Duration("for", 15*time.Second, "for how long to take seeds")
)

// TestSeeds runs one seed after the other, and tells the story of one that goes wrong.
func TestSeeds(t *testing.T) {
	folder := prepare(t)
	if *seedFlag != 0 {
		story, problems := run(t, *seedFlag, folder)
		fmt.Println(story) //nolint:forbidigo // it is what was asked for
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
			t.Fatalf("%s\nseed %d, the %dth, goes wrong:\n%s\n\nmake simulate SEED=%d tells this again", story, from+n, n+1, strings.Join(problems, "\n"), from+n)
		}
	}
	t.Logf("%d seeds from %d in %s: %.0f a minute", n, from, time.Since(began).Round(time.Second), float64(n)/time.Since(began).Minutes())
}

// TestASeedIsAStory: always the same.
func TestASeedIsAStory(t *testing.T) {
	folder := prepare(t)
	for _, seed := range []uint64{2, 5} {
		first, _ := run(t, seed, folder)
		for range 4 {
			again, _ := run(t, seed, folder)
			require.Equal(t, first, again)
		}
	}
}

// prepare returns a folder with an empty database for each service: in memory, where there
// is one.
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

// run runs a seed, and returns its story and what went wrong.
func run(t *testing.T, seed uint64, folder string) (story string, problems []string) {
	seedIDs(seed)
	synctest.Test(t, func(*testing.T) {
		time.Sleep(time.Until(ended.Add(time.Hour))) // ids go on from those of the run before
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
		w.tell("the world", "is well again")
		w.healed.Store(true)
		last := m.client("the end")
		last.judge(clients)
		for _, c := range append(clients, last) {
			c.CloseIdleConnections()
		}
		w.services[orders].end()
		w.services[users].end()
		time.Sleep(5 * time.Minute) // whatever is still on its way arrives
		story, problems = strings.Join(w.story, "\n"), w.problems
		ended = time.Now()
	})
	return story, problems
}

var ended time.Time

// judge waits until all is at rest, and has the model judge it.
func (c *client) judge(clients []*client) {
	time.Sleep(25 * time.Second) // for what is late, and for a breaker that is open
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
				c.wrong("%s has read other events than there are", other.name)
			}
		}
	}
}

// revive sends every create again: its key has one answer. And whoever is there may order.
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
			c.wrong("all is well, and the key of %s gets %d (deleted: %t)", w.mark, a.status, gone)
		}
	}
}

// followed is where order-service's follower is.
func (c *client) followed() string {
	at, err := c.services[orders].followed.Followed(context.Background(), users)
	if err != nil {
		c.wrong("it can't be told what was followed: %v", err)
	}
	return at.String()
}

// rest waits until all is followed and the erasures are complete, or should long be.
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
			c.wrong("%s lists %d", kind, a.status)
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
			c.wrong("the feed of %s stands still", kind)
			return all
		}
		all = append(all, batch...)
		cursor = "&cursor=" + batch[len(batch)-1].Cursor
	}
}
