package widget

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
	"github.com/example/microservices/pkg/ids"
	"github.com/example/microservices/pkg/invalid"
	"github.com/example/microservices/pkg/text"
)

// Limits of a widget. The tags in internal/api and the schemas of both databases repeat them.
const (
	MaxName     = 100
	MaxQuantity = 1_000_000
)

var (
	errOwnerMissing = errors.New("is required: the caller is an admin or has no user")
	errOwnerUnknown = errors.New("is not the id of a user for whom the caller may create widgets")
)

// owner returns the owner of a new widget: asked, or the user that reach is limited to.
func owner(reach access.Reach, asked *string) (uuid.UUID, error) {
	if asked == nil {
		only := reach.Owner()
		if only == nil || !reach.Includes(*only) {
			return uuid.Nil, errOwnerMissing
		}
		return *only, nil
	}
	id, err := ids.Parse(*asked)
	if err != nil {
		return uuid.Nil, err
	}
	if id == uuid.Nil || !reach.Includes(id) {
		return uuid.Nil, errOwnerUnknown
	}
	return id, nil
}

// apply validates p, applies it, and returns all problems. Unchanged texts are not checked:
// an earlier release may have accepted what this one rejects, and a client may send back
// what it read.
func apply(it *Widget, p Patch) invalid.Fields {
	var problems invalid.Fields
	stored := it.Version > 0
	if p.Name != nil && !(stored && *p.Name == it.Name) {
		name, err := text.Line(*p.Name, MaxName)
		problems.Check("name", err)
		it.Name = name
	}
	if p.Quantity != nil {
		if *p.Quantity < 0 || *p.Quantity > MaxQuantity {
			problems.Add("quantity", fmt.Sprintf("must be 0 to %d", MaxQuantity))
		}
		it.Quantity = *p.Quantity
	}
	return problems
}

func same(a, b Widget) bool { return a.Name == b.Name && a.Quantity == b.Quantity }
