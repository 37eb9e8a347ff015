package erasure

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/internal/testkit/gate"
)

var (
	rounds = flag.Int("rounds", 10, "the number of kills of each service on each database")
	given  = flag.Uint64("seed", 0, "the seed of an earlier run; 0: a new seed")
)

// newRandom returns a random source, and logs its seed.
func newRandom(t *testing.T) *rand.Rand {
	seed := *given
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// TestADeletionIsCompletedOnceAfterAnyKill kills a service with SIGKILL in the middle
// of a deletion, starts it again, and checks what became of the user's orders.
//
// From round to round, it kills before the first, the second, … message after the DELETE,
// between the service and PostgreSQL or between the services: that is before a statement, or
// between its effect and the answer. That message is passed on or lost, at random. With
// SQLite, which has no messages, and in every fourth round, it kills at a random microsecond
// of the first 30 ms.
func TestADeletionIsCompletedOnceAfterAnyKill(t *testing.T) {
	for _, kind := range kinds {
		for _, killed := range []string{"user-service", "order-service"} {
			t.Run(killed+", "+kind, func(t *testing.T) {
				t.Parallel()
				k := &killing{shop: open(t, kind), random: newRandom(t)}
				k.victim = map[string]*service{"user-service": k.users, "order-service": k.orders}[killed]
				for round := range *rounds {
					k.round(t, round)
				}
				t.Logf("%d rounds: killed %v", *rounds, k.struck)
				if *rounds >= 10 {
					require.Greater(t, k.during, *rounds/3, "too few kills came before the erasure was complete")
				}
			})
		}
	}
}

type killing struct {
	*shop
	random *rand.Rand
	victim *service
	// struck counts the kills by place, and during those before the erasure was complete.
	struck map[string]int
	during int
}

func (k *killing) round(t *testing.T, round int) {
	user, versions, address := k.customer(t, round)
	before := k.victim.Process
	struck := make(chan struct{})
	strike := func() bool {
		pass := k.random.IntN(2) == 0
		before.Kill()
		close(struck)
		return pass
	}
	where, disarm := k.arm(round, strike)
	resource := k.usersURL() + "/" + user // the same after a restart
	var deleting sync.WaitGroup
	deleting.Go(func() {
		for { // until it is deleted, maybe by a DELETE without an answer
			status, _ := k.do(http.MethodDelete, resource, "")
			if status == http.StatusNoContent || status == http.StatusNotFound {
				return
			}
			<-struck // the service is down
			if status, _ = k.do(http.MethodGet, resource, ""); status == http.StatusNotFound {
				return
			}
		}
	})
	if !k.struckInTime(struck, user) && disarm() {
		strike()
		where = "after the end"
	} else {
		k.during++
	}
	<-struck
	k.victim.start(t)
	deleting.Wait()
	k.waitComplete(t, user)
	k.requireErased(t, user, versions)
	k.requireNowhere(t, address)
	if k.struck == nil {
		k.struck = map[string]int{}
	}
	k.struck[where]++
}

// struckInTime waits for a kill, or returns false if the erasure completes without one.
func (k *killing) struckInTime(struck chan struct{}, user string) bool {
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-struck:
			return true
		case <-poll.C:
			if k.orderDB.kind != "" && k.done(user) {
				return false
			}
		}
	}
}

// done reads the database, because a request would pass through the gate.
func (k *killing) done(user string) bool {
	var n int
	err := k.usersDB.QueryRow(k.usersDB.in("SELECT count(*) FROM {}erasures WHERE user_id = ?"), user).Scan(&n)
	return err == nil && n == 1
}

// arm chooses where to kill, and returns the name of the place.
func (k *killing) arm(round int, strike func() bool) (where string, disarm func() bool) {
	g := map[bool]*gate.Gate{true: k.feed, false: k.usersDB.gate}[round%4 == 1]
	if k.victim == k.orders && round%4 != 1 {
		g = k.orderDB.gate
	}
	name := map[bool]string{true: "between the services", false: "at its database"}[round%4 == 1]
	if g != nil && round%4 != 3 {
		n := 1 + (round/4)%12
		if round%4 == 2 {
			n = 1 + k.random.IntN(25)
		}
		g.Arm(n, strike)
		return name, g.Disarm
	}
	var mu sync.Mutex
	armed := true
	disarm = func() bool {
		mu.Lock()
		defer mu.Unlock()
		was := armed
		armed = false
		return was
	}
	time.AfterFunc(time.Duration(k.random.IntN(30000))*time.Microsecond, func() {
		if disarm() {
			strike()
		}
	})
	return "after microseconds", disarm
}

// customer creates a user with orders in several states. It returns the orders' versions,
// and the common part of their addresses. Every eighth user has so many orders that erasing
// them takes several transactions.
func (k *killing) customer(t *testing.T, round int) (user string, versions map[string]int, address string) {
	address = fmt.Sprintf("Canary %s Street", uuid.NewString())
	email := uuid.NewString() + "@example.com"
	user = idOf(t, k.want(t, http.StatusCreated, http.MethodPost, k.usersURL(), person("Ada", email), "Idempotency-Key", email))
	versions = map[string]int{}
	for i, status := range [][]string{{}, {"confirmed"}, {"confirmed", "shipped"}, {"cancelled"}} {
		id := idOf(t, k.want(t, http.StatusCreated, http.MethodPost, k.ordersURL(), orderOf(user, fmt.Sprint(address, i)), "Idempotency-Key", fmt.Sprint(email, i)))
		for _, s := range status {
			k.want(t, http.StatusOK, http.MethodPatch, k.ordersURL()+"/"+id, `{"status":"`+s+`"}`)
		}
		versions[id] = 1 + len(status)
	}
	if round%8 != 7 {
		return user, versions, address
	}
	tx, err := k.orderDB.Begin()
	require.NoError(t, err)
	for range 520 {
		id := uuid.Must(uuid.NewV7()).String()
		_, err = tx.Exec(k.orderDB.in("INSERT INTO {}orders (id, user_id, items, shipping_address, status, total_amount, version, created_at, updated_at) SELECT ?, user_id, items, shipping_address, 'confirmed', total_amount, 1, created_at, updated_at FROM {}orders WHERE id = ?"), id, idsOf(versions)[0])
		require.NoError(t, err)
		versions[id] = 1
	}
	require.NoError(t, tx.Commit())
	return user, versions, address
}

func idsOf(versions map[string]int) (ids []string) {
	for id := range versions {
		ids = append(ids, id)
	}
	return ids
}
