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

// What answers may take while they are made, in bytes: an order, and a page of them
// (page.MaxBytes, as rows, as text, and what was read of the rows after it).
const (
	orderMemory = 512 << 10
	pageMemory  = 4 << 20
)

// maxBody is the size of the largest body, in bytes: an order of the largest texts
// there may be (order.MaxItems and the others) fits, also with each character written
// as two escaped surrogates of six bytes each.
const maxBody = 512 << 10

// Rules say who may use which operation. What it then may do is what actor says.
var Rules = httpapi.Rules{
	"create-order":        httpapi.Needs(scopeWrite).MaxBody(maxBody),
	"list-orders":         httpapi.Needs(scopeRead, scopeFulfil).Memory(pageMemory),
	"list-orders-of-user": httpapi.Needs(scopeRead, scopeFulfil).Memory(pageMemory),
	"get-order":           httpapi.Needs(scopeRead, scopeFulfil).Memory(orderMemory),
	"put-order":           httpapi.Needs(scopeWrite, scopeFulfil).Memory(orderMemory).MaxBody(maxBody),
	"patch-order":         httpapi.Needs(scopeWrite, scopeFulfil).Memory(orderMemory).MaxBody(maxBody),
	"delete-order":        httpapi.Needs(scopeWrite).Memory(orderMemory),
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
