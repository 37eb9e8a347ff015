package apitest

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/example/microservices/pkg/overload"
	"github.com/example/microservices/pkg/ratelimit"
	"github.com/example/microservices/pkg/service"
)

// NoLimits turns off the concurrency and rate limits: tests keep a machine busy, and send
// everything from one address.
func NoLimits(c *service.Config) {
	c.ConcurrencyLimit = overload.Limits{}
	c.ReadLimit, c.WriteLimit = ratelimit.Limit{}, ratelimit.Limit{}
	c.VolumeLimit, c.FailureLimit = ratelimit.Limit{}, ratelimit.Limit{}
}

// TestLimits calls every operation that needs a token, with limits of one read and one
// write an hour: the first of each is allowed, and all others are rejected.
func (c *Client) TestLimits(t *testing.T) {
	seen := map[string]bool{}
	parameter := regexp.MustCompile(`\{[a-z_]+\}`)
	for id, op := range c.document.ByID() {
		path := parameter.ReplaceAllString(op.Path, uuid.NewString())
		if len(op.Security) == 0 {
			for range 3 {
				require.Empty(t, c.For(t).Do(op.Method, path, nil).Header.Get("RateLimit"), id)
			}
			continue
		}
		policy := "write"
		if op.Method == http.MethodGet {
			policy = "read"
		}
		answer := c.For(t).Do(op.Method, path, nil)
		require.Equal(t, `"`+policy+`";q=1;w=3600`, answer.Header.Get("RateLimit-Policy"), id)
		if !seen[policy] {
			seen[policy] = true
			require.NotEqual(t, http.StatusTooManyRequests, answer.Status, id)
			require.Equal(t, `"`+policy+`";r=0;t=3600`, answer.Header.Get("RateLimit"), id)
			answer = c.For(t).Do(op.Method, path, nil)
		}
		require.Equal(t, http.StatusTooManyRequests, answer.Status, id)
		require.Equal(t, "3600", answer.Header.Get("Retry-After"), id)
		require.Contains(t, answer.Detail(), "too many requests", id)
	}
	require.Len(t, seen, 2)
}
