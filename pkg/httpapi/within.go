package httpapi

import (
	"context"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/ratelimit"
)

// Within counts an operation of the caller under a policy of its own, in addition to the
// limit of all requests. It returns a 429 *Problem beyond the limit. A nil policy and
// callers with auth.Caller.Admin are unlimited.
func Within(ctx context.Context, policy *ratelimit.Policy) error {
	caller := auth.From(ctx)
	if policy == nil || caller.Admin() {
		return nil
	}
	d := policy.Allow(ctx, caller.Key())
	if d.Allowed {
		return nil
	}
	return TooMany(d.RetryAfter).with("RateLimit-Policy", policy.Header).with("RateLimit", policy.State(d))
}
