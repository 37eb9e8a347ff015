package userclient

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/resilience"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		u := &upstream{answer: found200}
		c, err := New(u.config(), nil, reg)
		require.NoError(t, err)
		defer c.Close()

		series, err := testutil.GatherAndCount(reg)
		require.NoError(t, err)
		for _, answer := range []func(*http.Request) (*http.Response, error){
			found200, unknown404, broken500, unreachable, hung,
			func(*http.Request) (*http.Response, error) { return respond(302, ""), nil },
			func(*http.Request) (*http.Response, error) { return respond(400, ""), nil },
			func(*http.Request) (*http.Response, error) { return respond(401, ""), nil },
			func(*http.Request) (*http.Response, error) { return respond(429, ""), nil },
		} {
			u.answer = answer
			_ = verifyNew(t.Context(), c)
		}
		u.answer = hung
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_ = verifyNew(ctx, c)
		openBreaker(t, c)
		_ = verifyNew(t.Context(), c)
		after, err := testutil.GatherAndCount(reg)
		require.NoError(t, err)
		require.Equal(t, series, after, "every series must exist from the start")

		problems, err := testutil.GatherAndLint(reg)
		require.NoError(t, err)
		require.Empty(t, problems)
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			require.True(t, strings.HasPrefix(f.GetName(), "user_client_"), f.GetName())
		}
	})
}

func TestTheStateGaugeFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		u := &upstream{answer: broken500}
		c, err := New(u.config(), nil, reg)
		require.NoError(t, err)
		defer c.Close()
		requireState := func(state resilience.State) {
			t.Helper()
			want := "# HELP user_client_breaker_state State of the circuit breaker: 1 for the current state, 0 for the others.\n" +
				"# TYPE user_client_breaker_state gauge\n"
			for _, s := range resilience.States {
				value := " 0\n"
				if s == state {
					value = " 1\n"
				}
				want += `user_client_breaker_state{state="` + s.String() + `"}` + value
			}
			require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(want), "user_client_breaker_state"))
		}
		requireState(resilience.Closed)
		openBreaker(t, c)
		requireState(resilience.Open)
		pass(10*time.Second + 1)
		requireState(resilience.HalfOpen) // without a call
		u.answer = found200
		require.NoError(t, verifyNew(t.Context(), c))
		requireState(resilience.Closed)

		require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP user_client_breaker_transitions_total Changes of the circuit breaker's state.
# TYPE user_client_breaker_transitions_total counter
user_client_breaker_transitions_total{from="closed",to="open"} 1
user_client_breaker_transitions_total{from="half-open",to="closed"} 1
user_client_breaker_transitions_total{from="half-open",to="open"} 0
user_client_breaker_transitions_total{from="open",to="half-open"} 1
`), "user_client_breaker_transitions_total"))
	})
}
