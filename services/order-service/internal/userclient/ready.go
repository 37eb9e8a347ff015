package userclient

import (
	"context"
	"fmt"
	"net/http"
)

// Ready returns nil when user-service is alive: GET /health/live answers 200
// within TryTimeout. It goes past the cache, the retries, the concurrency limit
// and the breaker, and counts in none of them, so that readiness tells how
// user-service is and not how this client has fared.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.TryTimeout)
	defer cancel()
	req, err := newRequest(ctx, c.live.String())
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	drain(resp)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("user-service answered its liveness probe with %d", resp.StatusCode)
	}
	return nil
}
