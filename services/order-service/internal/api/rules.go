package api

import "github.com/example/microservices/pkg/httpapi"

const (
	scopeRead  = "orders:read"
	scopeWrite = "orders:write"
)

// Rules say who may use which operation. A caller reaches its own orders only:
// those of the user whose id is the subject of its token. The scope admin
// reaches all.
var Rules = httpapi.Rules{
	"create-order":        httpapi.Needs(scopeWrite),
	"list-orders":         httpapi.Needs(scopeRead),
	"list-orders-of-user": httpapi.Needs(scopeRead),
	"get-order":           httpapi.Needs(scopeRead),
	"put-order":           httpapi.Needs(scopeWrite),
	"patch-order":         httpapi.Needs(scopeWrite),
	"delete-order":        httpapi.Needs(scopeWrite),
}
