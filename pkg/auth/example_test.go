package auth_test

import (
	"context"
	"fmt"

	"github.com/example/microservices/pkg/auth"
)

func Example() {
	caller, err := auth.Open().Authenticate(context.Background(), nil) // requires no token
	fmt.Println(caller.Has("orders:read"), err)
	// Output: true <nil>
}
