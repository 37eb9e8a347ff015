package userclient

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/services/order-service/internal/order"
)

// slowFirst responds to the first request after d, and to the others like next.
func slowFirst(d time.Duration, next func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	isFirst := true
	return func(r *http.Request) (*http.Response, error) {
		if isFirst {
			isFirst = false
			return after(d, found200)(r)
		}
		return next(r)
	}
}

// lookups begins a lookup of one user, and then one of each id while the first request is in
// flight. It returns a function that returns the results of the latter, once the first has
// succeeded.
func lookups(t *testing.T, c *Client, ids ...uuid.UUID) func() []error {
	first := together(1, func() error { return verifyNew(t.Context(), c) })
	synctest.Wait()
	errs := make([]func() []error, len(ids))
	for i, id := range ids {
		errs[i] = together(1, func() error { return c.Verify(t.Context(), id) })
	}
	synctest.Wait()
	return func() (all []error) {
		require.NoError(t, first()[0])
		for _, err := range errs {
			all = append(all, err()...)
		}
		return all
	}
}

func newIDs(n int) (ids []uuid.UUID) {
	for range n {
		ids = append(ids, uuid.New())
	}
	return ids
}

func TestLookupsInFlightShareARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := newIDs(21)
		missing := ids[20]
		u := &upstream{}
		u.answer = slowFirst(time.Millisecond, func(r *http.Request) (*http.Response, error) {
			require.Equal(t, "/api/v1/users/existing", r.URL.Path)
			require.ElementsMatch(t, strings.Split(joinIDs(ids), ","), strings.Split(r.URL.Query().Get("ids"), ","))
			return respond(http.StatusOK, `{"ids":["`+strings.ReplaceAll(joinIDs(ids[:20]), ",", `","`)+`"]}`), nil
		})
		c := newClient(t, u.config())
		for i, err := range lookups(t, c, ids...)() {
			if ids[i] == missing {
				require.ErrorIs(t, err, order.ErrUserUnknown)
			} else {
				require.NoError(t, err)
			}
		}
		require.EqualValues(t, 2, u.requests.Load())
		require.NoError(t, c.Verify(t.Context(), ids[0]))
		require.EqualValues(t, 2, u.requests.Load(), "each is cached")
	})
}

// TestASlowRequestDelaysNoOtherLookup: what is in flight for longer than slowRequest is no
// reason to wait.
func TestASlowRequestDelaysNoOtherLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: slowFirst(700*time.Millisecond, found200)}
		c := newClient(t, u.config())
		start := time.Now()
		wait := lookups(t, c, newIDs(1)...)
		pass(slowRequest)
		synctest.Wait()
		require.Len(t, c.slots, 1, "only the slow one is in flight")
		require.NoError(t, wait()[0])
		require.Equal(t, 700*time.Millisecond, time.Since(start), "it was not asked again")
	})
}

// TestAnOlderUserServiceIsAskedForEachUser: during a rollout, user-service may not have the
// operation for several users yet. It takes its path for an id.
func TestAnOlderUserServiceIsAskedForEachUser(t *testing.T) {
	for name, older := range map[string]func(*http.Request) (*http.Response, error){
		"422": func(*http.Request) (*http.Response, error) { return respond(http.StatusUnprocessableEntity, ""), nil },
		"404": unknown404,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ids := newIDs(21)
				u := &upstream{}
				u.answer = slowFirst(time.Millisecond, func(r *http.Request) (*http.Response, error) {
					switch {
					case strings.HasSuffix(r.URL.Path, "/existing"):
						return older(r)
					case strings.HasSuffix(r.URL.Path, ids[20].String()):
						return unknown404(r)
					}
					return found200(r)
				})
				errs := lookups(t, newClient(t, u.config()), ids...)()
				require.ErrorIs(t, errs[20], order.ErrUserUnknown)
				for _, err := range errs[:20] {
					require.NoError(t, err)
				}
				require.EqualValues(t, 1+1+21, u.requests.Load())
			})
		})
	}
}

func TestAnInvalidSharedResponseConfirmsNobody(t *testing.T) {
	ids := newIDs(2)
	for name, body := range map[string]string{
		"not JSON":         `ids`,
		"another object":   `{"id":"` + ids[0].String() + `"}`,
		"null":             `{"ids":null}`,
		"other users":      `{"ids":["` + ids[0].String() + `","` + uuid.NewString() + `"]}`,
		"not ids":          `{"ids":["` + ids[0].String() + `",7]}`,
		"duplicate member": `{"ids":["` + ids[0].String() + `"],"ids":["` + ids[1].String() + `"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{answer: slowFirst(time.Millisecond, func(*http.Request) (*http.Response, error) {
					return respond(http.StatusOK, body), nil
				})}
				for _, err := range lookups(t, newClient(t, u.config()), ids...)() {
					requireUnavailable(t, err)
				}
			})
		})
	}
}

func TestLookupsShareAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: slowFirst(time.Millisecond, broken500)}
		cfg := u.config()
		cfg.MaxTries, cfg.BreakerMinimum, cfg.BreakerRatio = 1, 20, 0.9
		c := newClient(t, cfg)
		for _, err := range lookups(t, c, newIDs(20)...)() {
			requireUnavailable(t, err)
		}
		require.EqualValues(t, 2, u.requests.Load())
		requireUnavailable(t, verifyNew(t.Context(), c))
		require.EqualValues(t, 2, u.requests.Load(), "the breaker counts a failure of each lookup, and is open")
	})
}

func TestCloseEndsASharedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: slowFirst(time.Millisecond, hung)}
		c := newClient(t, u.config())
		wait := lookups(t, c, newIDs(2)...)
		pass(2 * time.Millisecond)
		start := time.Now()
		c.Close()
		for _, err := range wait() {
			requireUnavailable(t, err)
		}
		require.Zero(t, time.Since(start))
	})
}
