package httpapi

import (
	"context"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/ratelimit"
)

// Within counts what the caller of an operation is about to do under a policy of its
// own, beside the one for all requests. Beyond the limit it returns a 429. A nil policy
// has no limit, and neither has who reaches everything anyway (auth.Caller.Admin).
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
