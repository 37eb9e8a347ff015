package access_test

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/example/microservices/pkg/access"
)

func Example() {
	ada, grace := uuid.New(), uuid.New()
	own := access.Own(ada)
	fmt.Println(own.Includes(ada), own.Includes(grace), access.All().Includes(grace))
	// Output: true false true
}
