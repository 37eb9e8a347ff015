package userclient

import (
	"context"
	"fmt"
	"net/http"
)

// Ready returns nil if user-service is alive: GET /health/live responds with 200 within
// TryTimeout. It bypasses the cache, retries, the concurrency limit and the breaker, so that
// readiness reflects user-service's state and not this client's.
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
