package api

import "github.com/example/microservices/pkg/httpapi"

const (
	scopeRead  = "orders:read"
	scopeWrite = "orders:write"
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

// Rules say who may use which operation. A caller reaches its own orders only:
// those of the user whose id is the subject of its token. The scope admin
// reaches all.
var Rules = httpapi.Rules{
	"create-order":        httpapi.Needs(scopeWrite).MaxBody(maxBody),
	"list-orders":         httpapi.Needs(scopeRead).Memory(pageMemory),
	"list-orders-of-user": httpapi.Needs(scopeRead).Memory(pageMemory),
	"get-order":           httpapi.Needs(scopeRead).Memory(orderMemory),
	"put-order":           httpapi.Needs(scopeWrite).Memory(orderMemory).MaxBody(maxBody),
	"patch-order":         httpapi.Needs(scopeWrite).Memory(orderMemory).MaxBody(maxBody),
	"delete-order":        httpapi.Needs(scopeWrite),
}
