package api

import (
	"context"

	"github.com/example/microservices/pkg/auth"
	"github.com/example/microservices/pkg/httpapi"
	"github.com/example/microservices/services/order-service/internal/order"
)

const (
	scopeRead  = "orders:read"
	scopeWrite = "orders:write"
	// scopeFulfil is for whoever fulfils orders: everyone's may be read, and moved on.
	scopeFulfil = "orders:fulfil"
)

// Rules say who may use which operation. What it then may do is what actor says.
var Rules = httpapi.Rules{
	"create-order":        httpapi.Needs(scopeWrite),
	"list-orders":         httpapi.Needs(scopeRead, scopeFulfil),
	"list-orders-of-user": httpapi.Needs(scopeRead, scopeFulfil),
	"get-order":           httpapi.Needs(scopeRead, scopeFulfil),
	"put-order":           httpapi.Needs(scopeWrite, scopeFulfil),
	"patch-order":         httpapi.Needs(scopeWrite, scopeFulfil),
	"delete-order":        httpapi.Needs(scopeWrite),
}

// actor returns what the caller may do (docs/auth.md). A caller owns the orders of the
// user whose id is the subject of its token. The scope admin stands for everything.
func actor(ctx context.Context) order.Actor {
	caller := auth.From(ctx)
	a := order.Actor{Sees: caller.Reach(scopeFulfil), Fulfils: caller.Has(scopeFulfil), Expunges: caller.Admin()}
	if caller.Has(scopeWrite) {
		a.Owns = caller.Reach()
	}
	return a
}
