package erasure

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// TestAUserDeletedWhileOrderingHasNoOpenOrder: in each round, 50 clients order for a
// user until they are rejected, and the user is deleted meanwhile. Afterwards exactly the
// acknowledged orders exist, not open and without an address.
func TestAUserDeletedWhileOrderingHasNoOpenOrder(t *testing.T) {
	const clients = 50
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			random := newRandom(t)
			s := open(t, kind)
			acknowledged := 0
			for range min(*rounds, 20) {
				address := fmt.Sprintf("Canary %s Street", uuid.NewString())
				user := idOf(t, s.want(t, http.StatusCreated, http.MethodPost, s.usersURL(), person("Ada", uuid.NewString()+"@example.com")))
				deleteAfter := 1 + random.IntN(4*clients)
				var mu sync.Mutex
				versions, answers := map[string]int{}, 0
				reached := make(chan struct{})
				refusals := make(chan int, clients)
				var wg sync.WaitGroup
				for c := range clients {
					wg.Go(func() {
						for n := 0; ; n++ {
							status, body := s.do(http.MethodPost, s.ordersURL(), orderOf(user, address), "Idempotency-Key", fmt.Sprint(user, "-", c, "-", n))
							mu.Lock()
							answers++
							if answers == deleteAfter {
								close(reached)
							}
							if status == http.StatusCreated {
								versions[string(body[len(`{"id":"`):][:36])] = 1
							}
							mu.Unlock()
							if status != http.StatusCreated {
								refusals <- status
								return
							}
						}
					})
				}
				<-reached
				s.want(t, http.StatusNoContent, http.MethodDelete, s.usersURL()+"/"+user, "")
				wg.Wait()
				for range clients {
					require.Equal(t, http.StatusUnprocessableEntity, <-refusals)
				}
				s.waitComplete(t, user)
				s.requireErased(t, user, versions)
				s.requireNowhere(t, address)
				acknowledged += len(versions)
			}
			t.Logf("%d orders were acknowledged", acknowledged)
		})
	}
}
