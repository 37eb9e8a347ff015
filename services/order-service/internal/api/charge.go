package api

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/pkg/idempotency"
	"github.com/example/microservices/pkg/page"
	"github.com/example/microservices/services/order-service/internal/order"
)

// charged is a store that charges the bytes read to the caller's rate limit, whether or not
// the response contains them: orders and recorded responses may be large.
type charged struct{ Store }

// Charge wraps a store so that the bytes it reads count towards the caller's rate limit.
func Charge(s Store) charged { return charged{s} } //nolint:revive // it is used as what it has

// Get implements order.Store.
func (c charged) Get(ctx context.Context, id uuid.UUID) (order.Order, error) {
	o, err := c.Store.Get(ctx, id)
	httpapi.HasRead(ctx, o.Size())
	return o, err
}

// List implements order.Store.
func (c charged) List(ctx context.Context, f order.Filter, r page.Request) (page.Page[order.Order], error) {
	p, err := c.Store.List(ctx, f, r)
	httpapi.HasRead(ctx, p.Read)
	return p, err
}

// Recorded implements idempotency.Store.
func (c charged) Recorded(ctx context.Context, key idempotency.Key, now time.Time) (idempotency.Record, error) {
	r, err := c.Store.Recorded(ctx, key, now)
	httpapi.HasRead(ctx, len(r.Answer.Body))
	return r, err
}
