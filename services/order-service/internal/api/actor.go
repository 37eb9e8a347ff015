package api

import (
	"context"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/services/order-service/internal/order"
)

// actor derives the caller's permissions from its token (docs/auth.md). A caller owns the
// orders of the user whose id is the token's subject. The scope admin permits everything.
func actor(ctx context.Context) order.Actor {
	caller := auth.From(ctx)
	a := order.Actor{Sees: caller.Reach(scopeFulfil), Fulfils: caller.Has(scopeFulfil), Expunges: caller.Admin()}
	switch {
	case caller.IsAnyone():
		a.Role = order.Anyone
	case caller.Admin():
		a.Role = order.Admin
	case caller.Has(scopeFulfil):
		a.Role = order.Fulfilment
	default:
		a.Role = order.Customer
	}
	if caller.Has(scopeWrite) {
		a.Owns = caller.Reach()
	}
	return a
}
