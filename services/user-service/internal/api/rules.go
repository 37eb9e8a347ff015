package api

import "github.com/example/microservices/pkg/httpapi"

const (
	scopeRead  = "users:read"
	scopeWrite = "users:write"
	// scopeLookup is for services: any user may be read, one by one, by id or address.
	scopeLookup = "users:lookup"
)

// pageMemory is what a page of users may take while its answer is made, in bytes.
const pageMemory = 256 << 10

// Rules say who may use which operation. A caller reaches itself only: the user
// whose id is the subject of its token. The scope admin reaches all.
var Rules = httpapi.Rules{
	"create-user": httpapi.Needs(scopeWrite),
	"list-users":  httpapi.Needs(scopeRead, scopeLookup).Memory(pageMemory),
	"get-user":    httpapi.Needs(scopeRead, scopeLookup).Unlimited(scopeLookup),
	"put-user":    httpapi.Needs(scopeWrite),
	"patch-user":  httpapi.Needs(scopeWrite),
	"delete-user": httpapi.Needs(scopeWrite),
}
